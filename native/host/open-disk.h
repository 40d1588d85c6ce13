// One open disk: its handle and the thread that submits its I/O.
#pragma once

#include "channel.h"
#include "library.h"

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace host {

struct SharedMemory {
  uint8_t *address = nullptr;
  uint64_t bytes = 0;
};

struct Limits {
  uint64_t ioDepth = 1;
  uint64_t maxRequestBytes = 1;
};

// As it lies in Read and Write frames, after the disk's number (u64).
struct IoRequest {
  uint64_t offsetBytes;
  uint64_t lengthBytes;
  uint64_t memoryOffset;
};
static_assert(sizeof(IoRequest) == 24);

struct Batch {
  uint64_t id;
  bool write;
  std::vector<IoRequest> requests;
};

// {"ok":false,...} for a failed library call, with the library's text and last log lines.
vault::Json vixFailure(const Library &library, const char *function, VixError error);
vault::Json plainFailure(const char *kind, const std::string &message);

// Batches overlap: while the last requests of one are under way, those of the next are given to the
// library, so that ioDepth requests are in flight as long as there is work.
class OpenDisk {
 public:
  OpenDisk(const Library &library, VixDisk *handle, VixSector capacity, const SharedMemory &memory, const Limits &limits, Channel &channel);
  ~OpenDisk();
  OpenDisk(const OpenDisk &) = delete;
  OpenDisk &operator=(const OpenDisk &) = delete;

  VixDisk *handle() const { return handle_; }
  VixSector capacity() const { return capacity_; }
  void submit(Batch batch);
  // Requests of that batch not yet given to the library are dropped; the rest is awaited as ever.
  void cancel(uint64_t batchId);
  // Until no batch runs: VDDK allows one call at a time on a handle.
  void drain();

 private:
  struct Running;
  struct Pending {
    OpenDisk *disk;
    Running *running;
    uint64_t offsetBytes;
  };
  struct Running {
    Batch batch;
    std::vector<Pending> pending;  // addresses must hold: reserved once
    size_t next = 0;
    uint64_t inFlight = 0;
    VixError error = vix::kOk;
    uint64_t errorOffsetBytes = 0;
    std::string complaint;
    bool cancelled = false;

    bool stopped() const { return cancelled || error != vix::kOk || !complaint.empty(); }
    bool submitted() const { return stopped() || next == batch.requests.size(); }
    bool over() const { return submitted() && inFlight == 0; }
  };

  static void completed(void *data, VixError result);
  void work();
  Running *nextToSubmit();
  bool anyOver() const;
  void submitOne(std::unique_lock<std::mutex> &lock, Running &running);
  void answerOver(std::unique_lock<std::mutex> &lock);
  void reportProgress(std::unique_lock<std::mutex> &lock);
  void finished(Running &running, VixError result, uint64_t offsetBytes);
  void answer(const Running &running);
  std::string complaint(const Batch &batch) const;

  const Library &library_;
  VixDisk *handle_;
  VixSector capacity_;
  const SharedMemory &memory_;
  const Limits &limits_;
  Channel &channel_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Running> running_;  // in order of arrival; nodes do not move
  bool ending_ = false;
  uint64_t inFlight_ = 0;
  uint64_t completions_ = 0;
  uint64_t reportedCompletions_ = 0;
  std::chrono::steady_clock::time_point reportedAt_ = std::chrono::steady_clock::now();
  std::thread thread_;
};

}  // namespace host
