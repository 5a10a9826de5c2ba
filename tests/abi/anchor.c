/* The ABI as a library: abidiff sees what a symbol can reach, and flynn_plugin_entry_1 hands out the rest as pointers. */
#include "flynn/plugin.h"

void flynn_abi_anchor(const flynn_plugin* plugin, const flynn_host* host, const flynn_instance_vt* instance,
                      const flynn_call* call, const flynn_reply* reply, const flynn_error* error, flynn_bytes bytes);

void flynn_abi_anchor(const flynn_plugin* plugin, const flynn_host* host, const flynn_instance_vt* instance,
                      const flynn_call* call, const flynn_reply* reply, const flynn_error* error, flynn_bytes bytes) {
  (void)plugin, (void)host, (void)instance, (void)call, (void)reply, (void)error, (void)bytes;
}
