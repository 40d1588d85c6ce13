#include "faults.h"

#include "error.h"
#include "log.h"

#include <chrono>
#include <thread>

namespace standin {

Faults::Faults(const vault::Json &list) {
  for (const vault::Json &entry : list.items())
    faults_.push_back({entry["op"].string(), entry["afterBytes"].u64Or(0), entry["vixError"].u64Or(vix::kFail),
                       entry["effect"].stringOr("error"), entry["delayMs"].u64Or(0), 0});
}

void Faults::strike(const std::string &operation, uint64_t bytes) {
  uint64_t delayMs = 0;
  bool hang = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Fault &fault : faults_) {
      if (fault.operation != operation) continue;
      fault.seenBytes += bytes;
      if (fault.seenBytes < fault.afterBytes || (fault.seenBytes == fault.afterBytes && bytes > 0)) continue;
      if (fault.effect == "crash") panic("PANIC: ordered by the simulated vCenter during %s\n", operation.c_str());
      if (fault.effect == "hang") hang = true;
      else if (fault.effect == "delay") delayMs += fault.delayMs;
      else throw VixFailure(fault.error, "fault ordered by the simulated vCenter during " + operation);
    }
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(delayMs));
  while (hang) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace standin
