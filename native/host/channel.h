// Frames on the control socket (file descriptor 3); main.cc describes the protocol.
#pragma once

#include "json.h"

#include <cstdint>
#include <mutex>
#include <string>

namespace host {

enum class FrameType : uint32_t {
  Request = 1,   // worker -> host, JSON
  Answer = 2,    // host -> worker, JSON, ends the call
  Read = 3,      // worker -> host, IoFrame
  Write = 4,     // worker -> host, IoFrame
  Extents = 5,   // host -> worker, pairs of u64 (start, count) in sectors, before the answer
  Progress = 6,  // host -> worker, empty: the call is alive
};

struct Frame {
  FrameType type;
  uint64_t id;
  std::string body;
};

class Channel {
 public:
  explicit Channel(int fd) : fd_(fd) {}

  // false at the end of the stream or when the worker speaks nonsense: either way the host is done.
  bool receive(Frame *frame);
  // Any thread. A worker that is gone is noticed by receive().
  void send(FrameType type, uint64_t id, const std::string &body);
  void answer(uint64_t id, const vault::Json &answer) { send(FrameType::Answer, id, answer.dump()); }

 private:
  bool receiveAll(void *to, size_t bytes);

  int fd_;
  std::mutex sending_;
};

}  // namespace host
