// Pins every struct of ABI 1: a released member never moves.
#include <gtest/gtest.h>

#include <cstddef>

#include "flynn/plugin.h"

#define AT(type, member, offset) static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")

TEST(AbiLayout, KeepsEveryReleasedMemberWhereItIs) {
  AT(flynn_bytes, data, 0);
  AT(flynn_bytes, size, 8);
  AT(flynn_error, struct_size, 0);
  AT(flynn_error, code, 4);
  AT(flynn_error, message_size, 8);
  AT(flynn_error, message, 12);
  EXPECT_EQ(sizeof(flynn_error), 1024u);

  AT(flynn_call, struct_size, 0);
  AT(flynn_call, fd_count, 4);
  AT(flynn_call, fds, 8);
  AT(flynn_call, interface, 16);
  AT(flynn_call, method, 32);
  AT(flynn_call, body, 48);
  AT(flynn_call, deadline_ns, 64);
  AT(flynn_call, caller, 72);
  AT(flynn_call, request_id, 88);

  AT(flynn_reply, ctx, 8);
  AT(flynn_reply, set_body, 16);
  AT(flynn_reply, add_fd, 24);
  AT(flynn_reply, set_error, 32);

  AT(flynn_host, abi_major, 4);
  AT(flynn_host, abi_minor, 6);
  AT(flynn_host, ctx, 8);
  AT(flynn_host, call, 16);
  AT(flynn_host, log, 24);
  AT(flynn_host, listener, 32);
  AT(flynn_host, info, 40);

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

  AT(flynn_plugin, abi_major, 4);
  AT(flynn_plugin, abi_minor, 6);
  AT(flynn_plugin, create, 8);
}

TEST(AbiLayout, KeepsEveryReleasedNumber) {
  EXPECT_EQ(FLYNN_ABI_MAJOR, 1);
  EXPECT_EQ(FLYNN_E_INVALID_ARGUMENT, -1);
  EXPECT_EQ(FLYNN_E_UNAVAILABLE, -6);
  EXPECT_EQ(FLYNN_E_INTERNAL, -12);
  EXPECT_EQ(FLYNN_E_RESTART_REQUIRED, -14);
}
