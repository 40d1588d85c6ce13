// Faults the simulated vCenter orders for one open disk, so that tests can break I/O half-way.
#pragma once

#include "json.h"
#include "vixdisklib_abi.h"

#include <mutex>
#include <string>
#include <vector>

namespace standin {

class Faults {
 public:
  Faults() = default;
  explicit Faults(const vault::Json &list);
  // Counts these bytes of `operation`; acts when they pass a fault's threshold.
  // @throws VixFailure for an ordered error; does not return from a crash or a hang.
  void strike(const std::string &operation, uint64_t bytes);

 private:
  struct Fault {
    std::string operation;
    uint64_t afterBytes;
    VixError error;
    std::string effect;
    uint64_t delayMs;
    uint64_t seenBytes;
  };
  std::vector<Fault> faults_;
  std::mutex mutex_;
};

}  // namespace standin
