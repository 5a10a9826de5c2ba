/// What git needs for remotes over HTTPS of a cluster: its CA, and this program for the key.
#pragma once

#include <string>

#include "rcfile.h"
#include "result.h"

namespace flynn::cli {

/// Where the CA of the cluster of that name is kept.
std::string ca_path(const std::string& cluster);
/// Keeps the CA (PEM) and sets the user's git configuration for the cluster's GitURL.
Status let_git_use(const Cluster& cluster, const std::string& ca_pem);

}  // namespace flynn::cli
