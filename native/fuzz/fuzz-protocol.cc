// What vddk-host makes of its control channel. An input is a text of lines: `{…}` is a request, `read` and `write`
// with numbers a batch, anything else is given to the channel as raw bytes. $C, $D and $P stand for the last connection,
// the last disk and a disk's path. Each request and batch has exactly one answer, and each answer is JSON with "ok".
#include "../host/session.h"
#include "fuzzing.h"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace {

constexpr int kMemoryFd = 4;
constexpr auto kAnswerTimeout = std::chrono::seconds(15);

[[noreturn]] void broken(const char *what, const std::string &detail) {
  std::fprintf(stderr, "%s: %s\n", what, detail.c_str());
  std::abort();
}

// The worker's end: reads every frame, knows who waits for an answer.
class Worker {
 public:
  explicit Worker(int fd) : channel_(fd), thread_([this] { listen(); }) { thread_.detach(); }

  void expect(uint64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    open_.insert(id);
  }
  void await(uint64_t id) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!answered_.wait_for(lock, kAnswerTimeout, [&] { return open_.count(id) == 0; })) broken("no answer to", std::to_string(id));
  }
  std::string connection() { return locked(connection_); }
  std::string disk() { return locked(disk_); }

 private:
  std::string locked(const std::string &text) {
    std::lock_guard<std::mutex> lock(mutex_);
    return text;
  }

  void listen() {
    for (host::Frame frame; channel_.receive(&frame);) {
      if (frame.type != host::FrameType::Answer) continue;
      vault::Json answer = vault::Json::parse(frame.body);
      if (answer["ok"].kind() != vault::Json::Kind::Bool) broken("an answer without ok", frame.body);
      std::lock_guard<std::mutex> lock(mutex_);
      if (open_.erase(frame.id) == 0) broken("an answer nobody waits for", frame.body);
      connection_ = answer["connection"].stringOr(connection_);
      disk_ = answer["disk"].stringOr(disk_);
      answered_.notify_all();
    }
  }

  host::Channel channel_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::set<uint64_t> open_;
  std::string connection_ = "0";
  std::string disk_ = "0";
  std::thread thread_;
};

class Target {
 public:
  Target(const std::string &libraryDir, const std::string &workDir) : path_(workDir + "/disk.vmdk") {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets_) != 0) broken("no socket pair", "");
    worker_ = std::make_unique<Worker>(sockets_[1]);
    channel_ = std::make_unique<host::Channel>(sockets_[0]);
    session_ = std::make_unique<host::Session>(*channel_);
    makeDisk(workDir);
    std::ofstream(workDir + "/vddk.conf") << "standin.ioThreads=2\n";
    request("{\"op\":\"hello\",\"version\":1,\"libraryDir\":\"" + libraryDir + "\",\"configFile\":\"" + workDir +
            "/vddk.conf\",\"ioDepth\":4,\"maxRequestBytes\":\"65536\"}");
  }

  void test(const std::string &input) {
    raw(input);
    std::istringstream lines(input);
    uint64_t count = 0;
    for (std::string line; std::getline(lines, line) && count < 64; count++) {
      replace(line, "$C", worker_->connection());
      replace(line, "$D", worker_->disk());
      replace(line, "$P", path_);
      if (line.rfind("read ", 0) == 0 || line.rfind("write ", 0) == 0) batch(line);
      else request(line);
    }
    // Connections and disks share one row of numbers; whatever the input opened ends here.
    for (uint64_t last = std::strtoull(worker_->connection().c_str(), nullptr, 10); closed_ < last; closed_++)
      request("{\"op\":\"disconnect\",\"connection\":\"" + std::to_string(closed_ + 1) + "\"}");
  }

 private:
  void makeDisk(const std::string &workDir) {
    std::ofstream(workDir + "/disk-flat.vmdk", std::ios::binary) << std::string(1 << 20, 'd');
    std::ofstream(path_) << "# Disk DescriptorFile\nversion=1\nCID=0a1b2c3d\nparentCID=ffffffff\ncreateType=\"vmfs\"\nRW 2057 VMFS \"disk-flat.vmdk\"\n"
                            "ddb.adapterType = \"lsilogic\"\nddb.uuid = \"60 00\"\n";
  }

  static void replace(std::string &line, const char *name, const std::string &value) {
    for (size_t at = line.find(name); at != std::string::npos; at = line.find(name, at + value.size())) line.replace(at, 2, value);
  }

  void request(const std::string &line) {
    try {
      vault::Json parsed = vault::Json::parse(line);
      std::string op = parsed["op"].stringOr("");
      if (op == "exit") return;  // the library starts once
      const vault::Json &target = parsed["target"];
      // Nobody else's server is talked to: only the port on which nobody listens.
      if (!target.isNull() && (target["host"].stringOr("") != "127.0.0.1" || target["port"].u64() != 1)) return;
      if (op == "cancel") {
        session_->cancel(parsed["disk"].u64(), parsed["batch"].u64());
        return;
      }
    } catch (const vault::JsonError &) {
      // Not JSON: the session must say so itself.
    }
    uint64_t id = ++id_;
    worker_->expect(id);
    if (!session_->handle(id, line)) broken("the session ended at", line);
    worker_->await(id);
  }

  // read|write DISK [OFFSET LENGTH MEMORY]…
  void batch(const std::string &line) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    host::Frame frame{kind == "read" ? host::FrameType::Read : host::FrameType::Write, ++id_, ""};
    for (std::string word; words >> word;) {
      uint64_t number = std::strtoull(word.c_str(), nullptr, 10);
      frame.body.append(reinterpret_cast<const char *>(&number), sizeof number - (word.back() == '!' ? 3 : 0));
    }
    worker_->expect(frame.id);
    session_->submit(frame);
    worker_->await(frame.id);
  }

  // As bytes on the wire: frames that are whole come out, and nothing else does.
  static void raw(const std::string &bytes) {
    int pair[2];
    if (bytes.size() > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return;
    bool sent = ::write(pair[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    ::close(pair[1]);
    host::Channel channel(pair[0]);
    size_t received = 0;
    for (host::Frame frame; sent && channel.receive(&frame);) received += 16 + frame.body.size();
    if (received > bytes.size()) broken("more was received than sent", std::to_string(received));
    ::close(pair[0]);
  }

  std::string path_;
  int sockets_[2];
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<host::Channel> channel_;
  std::unique_ptr<host::Session> session_;
  uint64_t id_ = 0;
  uint64_t closed_ = 0;
};

}  // namespace

int main(int argc, char **argv) {
  fuzz::Options options = fuzz::parseOptions(argc, argv);
  const char *libraryDir = std::getenv("VDDK_LIBRARY_DIR");
  if (!libraryDir) broken("VDDK_LIBRARY_DIR is not set", "the library under the host");
  int memory = memfd_create("fuzz", MFD_CLOEXEC);
  if (memory < 0 || ftruncate(memory, 1 << 20) != 0 || dup2(memory, kMemoryFd) != kMemoryFd) broken("no shared memory", "");
  fuzz::Mutator mutator(options.seed, fuzz::readCorpus(options.corpusDir),
                        {"{", "}", "[", "]", "\"", "\\u", "\\ud83d\\ude00", ":", ",", "null", "true", "$C", "$D", "$P", "\n", "read $D ", "write $D ", " 512",
                         "{\"op\":\"queryAllocated\",\"disk\":\"$D\"}\n", "{\"op\":\"cancel\",\"disk\":\"$D\",\"batch\":\"1\"}\n", std::string(16, '\0')});
  // The library's log would be all there is to see.
  if (std::getenv("FUZZ_QUIET") && !std::freopen("/dev/null", "w", stderr)) return 1;
  Target target(libraryDir, options.workDir);
  uint64_t tried = fuzz::run(options, mutator, [&](const std::string &input) { target.test(input); });
  std::printf("fuzz-protocol: %llu inputs\n", static_cast<unsigned long long>(tried));
  std::fflush(stdout);
  _exit(0);
}
