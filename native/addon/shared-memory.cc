#include "shared-memory.h"

#include "kept-memory.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace {

// Address ranges are never given back to the kernel, only their pages are: a native thread that still
// works on a closed buffer (a cancelled copy) then reads zeros instead of killing the service. The
// ranges of finished hosts serve the next ones, so their number is the most hosts that ever ran at once;
// not before the last batch in them is done, or it would write into the next host's memory.
struct IdleRanges {
  std::mutex mutex;
  std::map<size_t, std::vector<void *>> bySize;
};

// Never destroyed: a thread of the pool may give one back while the process ends.
IdleRanges &idle() {
  static auto *ranges = new IdleRanges();
  return *ranges;
}

void *takeIdleRange(size_t bytes) {
  std::lock_guard<std::mutex> lock(idle().mutex);
  std::vector<void *> &ranges = idle().bySize[bytes];
  if (ranges.empty()) return nullptr;
  void *range = ranges.back();
  ranges.pop_back();
  return range;
}

void giveIdleRange(void *range, size_t bytes) {
  std::lock_guard<std::mutex> lock(idle().mutex);
  idle().bySize[bytes].push_back(range);
}

struct Mapping {
  const int fd;
  void *const address;
  const size_t bytes;
  bool open = true;

  Mapping(int descriptor, void *at, size_t length) : fd(descriptor), address(at), bytes(length) {}

  // Frees descriptor and pages at once; the range stays reserved by pages that cost nothing.
  void release() {
    if (!open) return;
    open = false;
    ::close(fd);
    mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  }
};

[[noreturn]] void fail(Napi::Env env, const char *step, int fd) {
  std::string reason = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  throw Napi::Error::New(env, std::string("Shared memory could not be made: ") + step + ": " + reason);
}

// The size is sealed: neither side can make the other's accesses fault by shrinking the file.
int openSealedMemory(Napi::Env env, size_t bytes) {
  int fd = memfd_create("vapp-vault-disk-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) fail(env, "memfd_create", -1);
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) fail(env, "ftruncate", fd);
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) fail(env, "F_ADD_SEALS", fd);
  return fd;
}

Napi::Value CreateSharedMemory(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  double wanted = info.Length() > 0 && info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (!(wanted >= 1 && wanted <= 4294967296.0) || wanted != static_cast<double>(static_cast<size_t>(wanted)) || static_cast<size_t>(wanted) % page != 0)
    throw Napi::RangeError::New(env, "The size of shared memory is a whole number of pages, 4 GiB at most");
  size_t bytes = static_cast<size_t>(wanted);
  int fd = openSealedMemory(env, bytes);
  void *range = takeIdleRange(bytes);
  void *address = mmap(range, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (range ? MAP_FIXED : 0), fd, 0);
  if (address == MAP_FAILED) {
    if (range) giveIdleRange(range, bytes);
    fail(env, "mmap", fd);
  }
  auto mapping = std::make_shared<Mapping>(fd, address, bytes);
  vault::Pin pin = vault::KeepMemory(address, bytes, [mapping] {
    mapping->release();
    giveIdleRange(mapping->address, mapping->bytes);
  });
  // Whoever uses it closes it: V8 would collect garbage for the sake of memory that is none.
  const auto external = static_cast<int64_t>(bytes);
  auto buffer = Napi::Buffer<uint8_t>::New(env, static_cast<uint8_t *>(address), bytes, [pin, external](Napi::Env finalizing, uint8_t *) {
    vault::AdjustCountedMemory(finalizing, external);
  });
  vault::AdjustCountedMemory(env, -external);
  Napi::Object result = Napi::Object::New(env);
  result.Set("fd", fd);
  result.Set("buffer", buffer);
  // Weak: the function must not keep the memory of a forgotten object alive.
  auto weak = std::make_shared<Napi::Reference<Napi::Buffer<uint8_t>>>(Napi::Weak(buffer));
  result.Set("close", Napi::Function::New(env, [mapping, weak](const Napi::CallbackInfo &) {
    Napi::Buffer<uint8_t> held = weak->Value();
    if (held.IsEmpty()) return;
    Napi::ArrayBuffer whole = held.ArrayBuffer();
    if (whole.IsDetached()) return;  // closed before
    mapping->release();
    whole.Detach();
  }, "close"));
  return result;
}

}  // namespace

void RegisterSharedMemory(Napi::Env env, Napi::Object exports) {
  exports.Set("createSharedMemory", Napi::Function::New(env, CreateSharedMemory, "createSharedMemory"));
}
