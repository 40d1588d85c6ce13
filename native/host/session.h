// Everything VDDK wants on one designated thread: connections, opening and closing, allocation, metadata.
#pragma once

#include "channel.h"
#include "library.h"
#include "connect-parameters.h"
#include "open-disk.h"

#include <map>
#include <memory>

namespace host {

class Session {
 public:
  explicit Session(Channel &channel) : channel_(channel) {}

  // The designated thread. Answers on the channel. -> false after "exit".
  bool handle(uint64_t id, const std::string &request);
  // The thread that reads the channel.
  void submit(const Frame &frame);
  void cancel(uint64_t diskNumber, uint64_t batchId);

 private:
  struct Connection {
    VixConnection *handle = nullptr;
    // VDDK may look at the parameters again later (reconnects).
    std::unique_ptr<ConnectParameters> parameters;
  };
  struct DiskSlot {
    std::shared_ptr<OpenDisk> disk;
    uint64_t connection;
  };

  vault::Json perform(uint64_t id, const vault::Json &request);
  vault::Json hello(const vault::Json &request);
  vault::Json connect(const vault::Json &request);
  vault::Json disconnect(uint64_t number);
  vault::Json access(const vault::Json &request, bool prepare);
  vault::Json cleanUp(const vault::Json &request);
  vault::Json open(const vault::Json &request);
  vault::Json close(uint64_t number);
  vault::Json flush(uint64_t number);
  vault::Json metadata(uint64_t number);
  vault::Json writeMetadata(uint64_t number, const vault::Json &entries);
  vault::Json queryAllocated(uint64_t id, uint64_t number);
  void exitLibrary();
  vault::Json failure(const char *function, VixError error) const { return vixFailure(library_, function, error); }
  std::shared_ptr<OpenDisk> diskAt(uint64_t number);

  Channel &channel_;
  Library library_;
  bool running_ = false;
  SharedMemory memory_;
  Limits limits_;
  std::map<uint64_t, Connection> connections_;
  std::mutex disksMutex_;
  std::map<uint64_t, DiskSlot> disks_;
  uint64_t nextNumber_ = 1;
};

}  // namespace host
