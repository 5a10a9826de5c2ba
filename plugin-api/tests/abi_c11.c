/* Compiles only if flynn/plugin.h is plain C11. */
#include "flynn/plugin.h"

static flynn_status handle(void* self, const flynn_call* call, flynn_reply* reply) {
  (void)self;
  (void)call;
  reply->set_body(reply, (flynn_bytes){"{}", 2});
  return FLYNN_OK;
}

const flynn_instance_vt abi_c11_table = {.struct_size = sizeof(flynn_instance_vt), .handle = handle};
