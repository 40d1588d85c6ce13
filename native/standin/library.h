// What the exported functions share. Each checks its arguments and turns exceptions into codes; the work lies beside.
#pragma once

#include "behaviour.h"
#include "disk.h"
#include "error.h"
#include "ledger.h"
#include "log.h"

#include <optional>

#define EXPORT extern "C" __attribute__((visibility("default")))

// The ABI's opaque handles.
struct VixConnection : standin::Connection {};
struct VixDisk : standin::Disk {
  using standin::Disk::Disk;
};

namespace standin {

extern LibraryState library;
extern const char kTransportModes[];

template <typename Work>
VixError guarded(const char *function, Work work) {
  try {
    work();
    return vix::kOk;
  } catch (const VixFailure &failure) {
    logWarning("%s: %s\n", function, failure.what());
    return failure.error;
  } catch (const std::bad_alloc &) {
    return vix::kOutOfMemory;
  } catch (const std::exception &error) {
    logWarning("%s: %s\n", function, error.what());
    return vix::kFail;
  }
}

void require(bool condition, const char *what);
// NULL is an argument error; anything else that is no open handle is a broken rule, and VIX_E_INVALID_HANDLE.
void requireOpen(VixDisk *disk);
void requireConnected(VixConnection *connection);

// For functions of one handle: one call at a time.
template <typename Work>
VixError onDisk(const char *function, VixDisk *disk, Work work) {
  Behaviour behaviour;
  VixError error = guarded(function, [&] {
    requireOpen(disk);
    behaviour = disk->behaviour();
    Disk::Entry entry(*disk, function);
    work();
  });
  return behaviour.word(error);
}

}  // namespace standin
