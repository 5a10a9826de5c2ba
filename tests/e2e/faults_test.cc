// Seeded faults on the real node: whoever reads the first ten lines of what the client (or git) says knows the cause,
// and for errors of the client the code is the right one. One row a fault.
#include <fstream>
#include <sstream>

#include "world.h"

namespace flynn::e2e {
namespace {

constexpr int kLinesRead = 10;

struct Fault {
  const char* name;
  const char* line;   // for bash; `flynn` is the client, `try_release 'script'` deploys weak with it as its process
  const char* words;  // of the cause
  const char* code;   // of the error; empty for what git prints
};

// What the lines share. The last line of a function is the fault's own command.
constexpr const char* kPrelude = R"bash(
flynn() { "$FLYNN" "$@"; }
rc() { printf '[[cluster]]\nName = "c"\nControllerURL = "%s"\nKey = "%s"\nTLSPin = "%s"\n' "$1" "$2" "$3" >rc; chmod 600 rc; export FLYNNRC=$PWD/rc; }
try_release() {
  jq -n --arg script "$1" --argjson memory "${2:-268435456}" --argjson files "${3:-10000}" \
    '{processes:{web:{args:["/runner/init","bash","-c",$script],resources:{memory:{limit:$memory},max_fd:{limit:$files}}}}}' >update.json
  flynn -a weak release update update.json
}
app() { mkdir "$1" && cd "$1" && git init -q -b master && flynn create -y "$1" >/dev/null 2>&1; }
push() { git add -A && git commit -q -m x && git push -q flynn master; }
certificate() { openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1" 2>/dev/null; }
)bash";

const Fault kFaults[] = {
    // What was typed
    {"UnknownOption", "flynn apps --colour", "unknown option --colour", "usage"},
    {"MissingArgument", "flynn -a weak env get", "missing argument", "usage"},
    {"PairWithoutEquals", "flynn -a weak env set COLOUR", "expected KEY=VALUE", "usage"},
    {"InvalidName", "flynn create -r '' Upper_Case", "is not a name for an app", "invalid-name"},
    {"NameTaken", "flynn create -r '' weak", "already exists", "name-taken"},
    {"AppUnknown", "flynn -a nobody info", "app \"nobody\" not found", "app-not-found"},
    {"AppOfLogUnknown", "flynn -a nobody log", "app \"nobody\" not found", "app-not-found"},
    {"NoAppChosen", "flynn ps", "no app found", "no-app-chosen"},
    {"NumberInvalid", "flynn -a weak scale web=many", "not a number of processes", "usage"},
    {"SizeInvalid", "flynn -a weak limit set web memory=lots", "is not a size", "usage"},
    {"ProcessTypeUnknown", "flynn -a weak env -t worker", "process type \"worker\"", "unknown-process-type"},
    {"ScaleOfAnUnknownType", "flynn -a weak scale worker=1", "worker", "validation"},
    {"VariableUnknown", "flynn -a weak env get NOBODY", "\"NOBODY\" not found", "unknown-variable"},
    {"JobUnknown", "flynn -a weak kill 00000000-0000-4000-8000-000000000000", "could not kill", "job-not-found"},
    {"ReleaseUnknown", "flynn -a weak diff 00000000-0000-4000-8000-000000000000", "not found", "release-not-found"},
    {"FileMissing", "flynn -a weak release update nowhere.json", "nowhere.json", "file-unreadable"},
    {"FileIsNoJson", "echo '{,' >x.json; flynn -a weak release update x.json", "not JSON", "bad-json"},
    {"ProviderUnknown", "flynn -a weak resource add mongodb", "provider \"mongodb\" not found", "unknown-provider"},
    {"NoDatabase", "flynn -a weak pg psql", "No postgres database found", "no-database"},
    {"VolumeUnknown", "flynn -a weak volume show nothing", "nothing", "not-found"},
    // The way to the cluster
    {"NoCluster", "FLYNNRC=/nowhere flynn apps", "no clusters configured", "no-cluster"},
    {"ClusterUnknown", "flynn -c other apps", "unknown cluster \"other\"", "unknown-cluster"},
    {"RcFileBroken", "echo '[[cluster' >rc; FLYNNRC=$PWD/rc flynn apps", "rc", "bad-rcfile"},
    {"KeyRevoked", "rc \"$HTTP\" wrong ''; flynn apps", "does not accept the key", "key-not-accepted"},
    {"NodeDown", "rc http://controller.flynn.localhost:1 k ''; flynn apps", "Connection refused",
     "controller-unreachable"},
    {"NameWithoutAddress", "rc http://controller.nowhere.invalid k ''; flynn apps", "nowhere.invalid",
     "name-not-resolved"},
    {"PinWrong", "rc \"$HTTPS\" k AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; flynn apps",
     "did not match the provided pin", "certificate-pin-mismatch"},
    {"CertificateNotTrusted", "rc \"$HTTPS\" k ''; flynn apps", "TLS", "certificate-not-trusted"},
    {"HostNotRunning", "FLYNN_ADMIN_SOCKET=/nowhere flynn plugin list", "/nowhere", "host-unreachable"},
    // Routes and certificates
    {"RouteTaken", "flynn -a weak route add http hello.flynn.localhost", "Duplicate route", "route-taken"},
    {"PortReserved", "flynn -a weak route add tcp -p 80", "eserved", "port-taken"},
    {"PortOutsideTheRange", "flynn -a weak route add tcp -p 1", "for TCP routes", "validation"},
    {"CertificateIsNone", "echo no >a.pem; echo no >a.key; flynn -a weak route add http a.test -c a.pem -k a.key",
     "ertificate", "bad-certificate"},
    {"KeyOfAnotherCertificate",
     "certificate one; certificate two; flynn -a weak route add http b.test -c one.pem -k two.key", "ertificate",
     "bad-certificate"},
    // Plugins
    {"PluginFileIsNone", "echo text >x.so; flynn plugin swap router x.so", "x.so", "plugin-refused"},
    {"PluginConfigurationRefused", "flynn plugin configure host '{\"bridge\":7}'", "bridge", "plugin-refused"},
    // Releases that don't come up
    {"CrashAtStart", "try_release 'echo the licence has expired; exit 3'", "the licence has expired", "app-crashed"},
    {"CommandMissing", "try_release 'exec ./no-such-server'", "no-such-server", "command-not-found"},
    {"WrongArchitecture", "try_release 'printf \"\\177ELF\\002\\001\\001\" >/tmp/x; chmod +x /tmp/x; exec /tmp/x'",
     "xec format error", "wrong-architecture"},
    {"MissingLibrary", "try_release 'cp /bin/ls /tmp/x; sed -i s/libc.so.6/libq.so.6/ /tmp/x; exec /tmp/x'",
     "libq.so.6", "missing-library"},
    {"NotExecutable", "try_release 'echo x >/tmp/x; exec /tmp/x'", "ermission denied", "permission-denied"},
    {"OutOfMemory", "try_release 'exec python3 -c \"x = bytearray(600 << 20); x[::4096] = x[::4096]\"' 67108864",
     "emory", "out-of-memory"},
    {"TooManyFiles", "try_release 'exec python3 -c \"import os; [os.dup(0) for _ in range(999)]\"' 268435456 64",
     "oo many open files", "too-many-files"},
    {"DiskFull", "try_release 'dd if=/dev/zero of=/dev/shm/x bs=1M count=9999 2>&1; exit 1'", "o space left",
     "disk-full"},
    {"PortNotBound", "try_release 'echo thinking; exec tail -f /dev/null'", "8080", "port-not-bound"},
    {"PortInUse",
     "try_release 'exec python3 -c \"import socket; s = socket.socket(); s.bind((str(), 8080)); "
     "socket.socket().bind((str(), 8080))\"'",
     "ddress already in use", "port-taken"},
    {"NoNodeHasRoom", "flynn -a weak limit set web memory=9000GB", "memory", "no-capacity"},
    // Into jobs
    {"ExecOfAnUnknownCommand", "flynn -a hello exec no-such-command", "no-such-command", ""},
    {"ExecWithoutAJob", "flynn -a weak exec --job worker ls", "no job \"worker\"", "job-not-found"},
    // Pushes
    {"ProcfileBroken", "app typo; printf 'web: true\\nno process\\n' >Procfile; push", "line 2", ""},
    {"NoBuildpack", "app bare; echo x >notes.txt; push", "Unable to select a buildpack", ""},
    {"BuildFails",
     "app broken; printf 'all:\\n\\tgcc app.c\\n' >Makefile; echo 'int main( {' >app.c; echo 'web: ./a.out' >Procfile; "
     "push",
     "app.c:1", ""},
    {"KeyUnknown",
     "app locked; echo x >index.html; ssh-keygen -q -t ed25519 -N '' -f ../k; export GIT_SSH_COMMAND=\"ssh -i "
     "$PWD/../k "
     "-o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o "
     "LogLevel=ERROR\"; push",
     "denied", ""},
};

class Faults : public WorldTest, public testing::WithParamInterface<Fault> {
 protected:
  void SetUp() override {
    WorldTest::SetUp();
    given_app("procfile-hello", "weak");
    given_app("node-hello", "hello");
    ASSERT_TRUE(node().flynn({"-a", "weak", "deployment", "timeout", std::to_string(8 * patience())}).ok());
  }

  static Outcome seed(const Fault& fault) {
    const std::string folder = node().root() + "/faults/" + fault.name;
    run({"mkdir", "-p", folder});
    const std::string http = "http://controller.flynn.localhost:" + std::to_string(node().ports().http);
    const std::string https = "https://controller.flynn.localhost:" + std::to_string(node().ports().https);
    return node().shell("export FLYNN='" FLYNN_PROGRAM "' HTTP=" + http + " HTTPS=" + https + "; cd " + folder + "\n" +
                        kPrelude + fault.line);
  }

  /// The first lines, of git from its first line about an error.
  static std::string first_lines(const std::string& text) {
    std::istringstream stream(text);
    std::string lines;
    int count = 0;
    for (std::string line; count < kLinesRead && std::getline(stream, line); ++count) lines += line + "\n";
    return lines;
  }
};

TEST_P(Faults, ShowsTheCauseInTheFirstLines) {
  const Fault& fault = GetParam();

  const Outcome seen = seed(fault);

  const std::string read = first_lines(seen.out);
  EXPECT_NE(seen.exit_code, 0) << seen.out;
  EXPECT_NE(read.find(fault.words), std::string::npos) << "\"" << fault.words << "\" should be in:\n" << seen.out;
  if (*fault.code == '\0') return;
  EXPECT_NE(read.find(std::string("code: ") + fault.code + "\n"), std::string::npos) << fault.code << " should be in:\n"
                                                                                     << seen.out;
}

INSTANTIATE_TEST_SUITE_P(Seeded, Faults, testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

}  // namespace
}  // namespace flynn::e2e
