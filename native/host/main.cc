// vddk-host: the only process that loads VDDK. One runs per VM being copied; src/vddk starts it.
//
// VDDK is not loaded into the service because its libraries bind to node's OpenSSL and zlib, and
// because it may panic, hang or leak; a death of this process costs one copy, not the service.
//
// Inherited: file descriptor 3, a stream socket (control); 4, shared memory (disk data);
// LD_LIBRARY_PATH, set before exec, for VDDK's own libraries. No argument; secrets come over 3 only.
// Log lines go to standard error as "info|warning|panic <text>".
//
// Protocol version 1. A frame is a header {u32 bodyBytes, u32 type, u64 id}, little-endian, and a body:
//   1 Request  worker -> host  JSON {"op":...}; answered by a frame 2 with the same id
//   2 Answer   host -> worker  JSON {"ok":true,...} or {"ok":false,"kind":...}; ends the call
//   3 Read, 4 Write  worker -> host  u64 disk, then {u64 offsetBytes, u64 lengthBytes, u64 memoryOffset}
//              for each request; one answer for the whole batch, after its last completion
//   5 Extents  host -> worker  {u64 start, u64 count} sectors each; any number before the answer
//   6 Progress host -> worker  empty; the call is alive
// Numbers beyond 32 bits are decimal strings in JSON. Operations: hello {version, libraryDir, configFile,
// ioDepth, maxRequestBytes}, prepareForAccess, endAccess {target, identity}, cleanup {target}, connect
// {target|null (of a VM: vmMoRef; of a first class disk: storageObject {id, datastoreMoRef, snapshotId?}), readOnly, snapshot|null, transportModes}, disconnect {connection}, open {connection, path,
// flags}, close, flush, metadata, queryAllocated {disk}, writeMetadata {disk, entries: [[key, value]]},
// cancel {disk, batch} (no answer of its own), exit.
// Failures: kind "vix" {function, vixError, text, lines}; "library", "argument", "unsupported", "cancelled" {message}.
//
// The main thread is VDDK's designated thread; a second one reads the socket; each open disk has one
// that submits its I/O. The end of the socket's stream ends the process at once, whatever VDDK is doing.
#include "session.h"

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <deque>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace {

constexpr int kControlFd = 3;

struct Inbox {
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<host::Frame> frames;
};

// "cancel" must overtake whatever the designated thread is busy with.
bool handledAtOnce(host::Session &session, const host::Frame &frame) {
  if (frame.type != host::FrameType::Request) {
    session.submit(frame);
    return true;
  }
  if (frame.body.find("\"cancel\"") == std::string::npos) return false;
  try {
    vault::Json request = vault::Json::parse(frame.body);
    if (request["op"].stringOr("") != "cancel") return false;
    session.cancel(request["disk"].u64(), request["batch"].u64());
    return true;
  } catch (const vault::JsonError &) {
    return false;
  }
}

void readFrames(host::Channel &channel, host::Session &session, Inbox &inbox) {
  for (host::Frame frame; channel.receive(&frame);) {
    if (static_cast<uint32_t>(frame.type) < 1 || static_cast<uint32_t>(frame.type) > 4 || frame.type == host::FrameType::Answer) break;
    if (handledAtOnce(session, frame)) continue;
    std::lock_guard<std::mutex> lock(inbox.mutex);
    inbox.frames.push_back(std::move(frame));
    inbox.arrived.notify_one();
  }
  // No destructors: the library may be in the middle of anything.
  _exit(1);
}

void secureProcess() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A core file would hold tenants' data and vCenter's password.
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int main() {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(kControlFd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
    std::fputs("vddk-host is started by the vApp Vault service, not by hand: file descriptor 3 is not its control socket.\n", stderr);
    return 2;
  }
  secureProcess();
  fcntl(kControlFd, F_SETFL, fcntl(kControlFd, F_GETFL) & ~O_NONBLOCK);
  host::Channel channel(kControlFd);
  host::Session session(channel);
  Inbox inbox;
  std::thread reader(readFrames, std::ref(channel), std::ref(session), std::ref(inbox));
  for (;;) {
    std::unique_lock<std::mutex> lock(inbox.mutex);
    inbox.arrived.wait(lock, [&] { return !inbox.frames.empty(); });
    host::Frame frame = std::move(inbox.frames.front());
    inbox.frames.pop_front();
    lock.unlock();
    if (!session.handle(frame.id, frame.body)) _exit(0);
  }
}
