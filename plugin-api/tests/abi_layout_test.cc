// Pins every struct of ABI 1: a released member never moves.
#include <gtest/gtest.h>

#include <cstddef>
#include <type_traits>

#include "flynn/plugin.h"

#define AT(type, member, offset) static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")

TEST(AbiLayout, KeepsEveryReleasedMemberWhereItIs) {
  AT(flynn_bytes, data, 0);
  AT(flynn_bytes, size, 8);
  AT(flynn_error, struct_size, 0);
  AT(flynn_error, code, 4);
  AT(flynn_error, message_size, 8);
  AT(flynn_error, message, 12);

  AT(flynn_call, struct_size, 0);
  AT(flynn_call, fd_count, 4);
  AT(flynn_call, fds, 8);
  AT(flynn_call, interface, 16);
  AT(flynn_call, method, 32);
  AT(flynn_call, body, 48);
  AT(flynn_call, deadline_ns, 64);
  AT(flynn_call, caller, 72);
  AT(flynn_call, request_id, 88);

  AT(flynn_reply, struct_size, 0);
  AT(flynn_reply, reserved, 4);
  AT(flynn_reply, ctx, 8);
  AT(flynn_reply, set_body, 16);
  AT(flynn_reply, add_fd, 24);
  AT(flynn_reply, set_error, 32);

  AT(flynn_host, struct_size, 0);
  AT(flynn_host, abi_major, 4);
  AT(flynn_host, abi_minor, 6);
  AT(flynn_host, ctx, 8);
  AT(flynn_host, call, 16);
  AT(flynn_host, log, 24);
  AT(flynn_host, listener, 32);
  AT(flynn_host, info, 40);

  AT(flynn_instance_vt, struct_size, 0);
  AT(flynn_instance_vt, reserved, 4);
  AT(flynn_instance_vt, configure, 8);
  AT(flynn_instance_vt, import_state, 16);
  AT(flynn_instance_vt, start, 24);
  AT(flynn_instance_vt, health, 32);
  AT(flynn_instance_vt, activate, 40);
  AT(flynn_instance_vt, quiesce, 48);
  AT(flynn_instance_vt, resume, 56);
  AT(flynn_instance_vt, export_state, 64);
  AT(flynn_instance_vt, drain, 72);
  AT(flynn_instance_vt, stop, 80);
  AT(flynn_instance_vt, destroy, 88);
  AT(flynn_instance_vt, handle, 96);
  AT(flynn_instance_vt, hand_over, 104);  // 1.1
  AT(flynn_instance_vt, take_over, 112);

  AT(flynn_plugin, struct_size, 0);
  AT(flynn_plugin, abi_major, 4);
  AT(flynn_plugin, abi_minor, 6);
  AT(flynn_plugin, create, 8);
}

// A table may only become longer with a new minor; everything else keeps its size for good.
TEST(AbiLayout, KeepsEverySize) {
  // abidiff compares what the entry hands out, not the entry.
  static_assert(std::is_same_v<decltype(&flynn_plugin_entry_1), const flynn_plugin* (*)()>, "the entry has changed");
  static_assert(FLYNN_ABI_MINOR == 1, "a new minor: add its members above, and its sizes here");
  EXPECT_EQ(sizeof(flynn_bytes), 16u);
  EXPECT_EQ(sizeof(flynn_error), 1024u);
  EXPECT_EQ(sizeof(flynn_call), 104u);
  EXPECT_EQ(sizeof(flynn_reply), 40u);
  EXPECT_EQ(sizeof(flynn_host), 48u);
  EXPECT_EQ(sizeof(flynn_instance_vt), 120u);
  EXPECT_EQ(sizeof(flynn_plugin), 16u);
}

TEST(AbiLayout, KeepsEveryReleasedNumber) {
  EXPECT_EQ(FLYNN_ABI_MAJOR, 1);
  EXPECT_EQ(FLYNN_OK, 0);
  EXPECT_EQ(FLYNN_E_INVALID_ARGUMENT, -1);
  EXPECT_EQ(FLYNN_E_NOT_FOUND, -2);
  EXPECT_EQ(FLYNN_E_ALREADY_EXISTS, -3);
  EXPECT_EQ(FLYNN_E_CONFLICT, -4);
  EXPECT_EQ(FLYNN_E_PERMISSION_DENIED, -5);
  EXPECT_EQ(FLYNN_E_UNAVAILABLE, -6);
  EXPECT_EQ(FLYNN_E_DEADLINE_EXCEEDED, -7);
  EXPECT_EQ(FLYNN_E_RESOURCE_EXHAUSTED, -8);
  EXPECT_EQ(FLYNN_E_UNIMPLEMENTED, -9);
  EXPECT_EQ(FLYNN_E_FAILED_PRECONDITION, -10);
  EXPECT_EQ(FLYNN_E_CANCELLED, -11);
  EXPECT_EQ(FLYNN_E_INTERNAL, -12);
  EXPECT_EQ(FLYNN_E_OUT_OF_RANGE, -13);
  EXPECT_EQ(FLYNN_E_RESTART_REQUIRED, -14);
  EXPECT_EQ(FLYNN_LOG_DEBUG, 0);
  EXPECT_EQ(FLYNN_LOG_ERROR, 3);
  EXPECT_EQ(FLYNN_NOTE_MANIFEST, 1);
  EXPECT_STREQ(FLYNN_NOTE_NAME, "Flynn");
}
