#include "channel.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace host {
namespace {

constexpr uint32_t kLargestBodyBytes = 16 * 1024 * 1024;

struct Header {
  uint32_t bodyBytes;
  uint32_t type;
  uint64_t id;
};
static_assert(sizeof(Header) == 16);

void waitFor(int fd, short events) {
  pollfd ready{fd, events, 0};
  poll(&ready, 1, -1);
}

}  // namespace

bool Channel::receiveAll(void *to, size_t bytes) {
  auto *at = static_cast<char *>(to);
  while (bytes > 0) {
    ssize_t got = ::read(fd_, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      waitFor(fd_, POLLIN);
      continue;
    }
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

bool Channel::receive(Frame *frame) {
  Header header;
  if (!receiveAll(&header, sizeof header) || header.bodyBytes > kLargestBodyBytes) return false;
  frame->type = static_cast<FrameType>(header.type);
  frame->id = header.id;
  frame->body.resize(header.bodyBytes);
  return receiveAll(frame->body.data(), header.bodyBytes);
}

void Channel::send(FrameType type, uint64_t id, const std::string &body) {
  Header header{static_cast<uint32_t>(body.size()), static_cast<uint32_t>(type), id};
  std::string bytes(reinterpret_cast<const char *>(&header), sizeof header);
  bytes += body;
  std::lock_guard<std::mutex> lock(sending_);
  for (size_t sent = 0; sent < bytes.size();) {
    ssize_t put = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      waitFor(fd_, POLLOUT);
      continue;
    }
    if (put <= 0) return;
    sent += static_cast<size_t>(put);
  }
}

}  // namespace host
