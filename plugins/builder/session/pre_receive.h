// The pre-receive hook: tells the plugin which refs come in, prints what it answers, accepts or declines.
#pragma once

namespace flynn::builder {

/// Standard input as git gives it to the hook; the plugin's socket is named by FLYNN_HOOK_FD. Exit status of the hook.
int run_pre_receive_hook();

}  // namespace flynn::builder
