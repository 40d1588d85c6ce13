#include "door.h"

#include "error.h"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace standin {
namespace {

constexpr int kDialTimeoutSeconds = 30;
constexpr size_t kLongestLineBytes = 64 * 1024 * 1024;

}  // namespace

std::string Target::vmMoRef() const {
  size_t at = vmxSpec.find("moref=");
  if (at == std::string::npos) throw VixFailure(vix::kInvalidArgument, "vmxSpec \"" + vmxSpec + "\" does not name a moref");
  std::string moRef = vmxSpec.substr(at + 6);
  return moRef.substr(0, moRef.find(';'));
}

Door::Door(const Target &target, int answerTimeoutSeconds, bool authenticate) {
  dial(target.server, target.port, answerTimeoutSeconds);
  try {
    send("VIXSIM/1\n");
    try {
      vault::Json answer = ask(vault::Json::object().set("op", "hello").set("thumbprint", target.thumbprint));
      strict_ = answer["strict"].boolOr(false);
    } catch (const VixFailure &failure) {
      if (failure.error != vix::kFail) throw;
      trusted_ = false;
      return;
    }
    if (!authenticate) return;
    vault::Json auth = vault::Json::object().set("op", "auth").set("kind", target.session ? "session" : "password");
    auth.set("userName", target.userName).set(target.session ? "cookie" : "password", target.secret);
    ask(auth);
  } catch (...) {
    ::close(socket_);
    throw;
  }
}

Door::~Door() {
  try {
    std::lock_guard<std::mutex> lock(mutex_);
    send("{\"op\":\"bye\"}\n");
  } catch (const VixFailure &) {
    // The line is gone already; there is nobody to take leave of.
  }
  ::close(socket_);
}

void Door::dial(const std::string &server, uint16_t port, int answerTimeoutSeconds) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo *found = nullptr;
  if (getaddrinfo(server.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    throw VixFailure(vix::kServerNotFound, "cannot resolve " + server);
  int failure = 0;
  for (addrinfo *address = found; address && socket_ < 0; address = address->ai_next) {
    socket_ = ::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (socket_ < 0) continue;
    // The send timeout also bounds connect().
    timeval dialTimeout{kDialTimeoutSeconds, 0};
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &dialTimeout, sizeof dialTimeout);
    if (::connect(socket_, address->ai_addr, address->ai_addrlen) == 0) break;
    failure = errno;
    ::close(socket_);
    socket_ = -1;
  }
  freeaddrinfo(found);
  if (socket_ < 0)
    throw VixFailure(failure == ECONNREFUSED ? vix::kConnectionRefused : vix::kCannotConnectToHost,
                     "cannot connect to " + server + ":" + std::to_string(port) + ": " + std::strerror(failure));
  timeval answerTimeout{answerTimeoutSeconds, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &answerTimeout, sizeof answerTimeout);
  int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void Door::send(const std::string &text) {
  for (size_t sent = 0; sent < text.size();) {
    ssize_t count = ::send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw VixFailure(vix::kTcpConnectionLost, "the connection to vCenter broke");
    sent += static_cast<size_t>(count);
  }
}

std::string Door::receiveLine() {
  for (;;) {
    size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    if (received_.size() > kLongestLineBytes) throw VixFailure(vix::kTcpConnectionLost, "vCenter's answer does not end");
    char buffer[65536];
    ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw VixFailure(vix::kTcpConnectionLost, count == 0 ? "vCenter closed the connection" : "no answer from vCenter");
    received_.append(buffer, static_cast<size_t>(count));
  }
}

vault::Json Door::ask(const vault::Json &request) {
  std::lock_guard<std::mutex> lock(mutex_);
  send(request.dump() + "\n");
  try {
    vault::Json response = vault::Json::parse(receiveLine());
    if (response["ok"].boolOr(false)) return response;
    VixError error = response["vixError"].u64Or(vix::kFail);
    throw VixFailure(error == vix::kOk ? vix::kFail : error, response["message"].stringOr("vCenter refused"));
  } catch (const vault::JsonError &error) {
    throw VixFailure(vix::kTcpConnectionLost, std::string("vCenter's answer is unreadable: ") + error.what());
  }
}

}  // namespace standin
