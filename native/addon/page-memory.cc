// allocatePages(bytes) -> Buffer of whole pages, zeroed, from the kernel and not from V8: it may be written to a file past
// the page cache (O_DIRECT wants aligned memory). It is for memory that is used again and again: V8 is told nothing of its size,
// because it would collect garbage again and again to get rid of what is not garbage.
#include "page-memory.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include "kept-memory.h"

namespace vault {

static Napi::Value AllocatePages(const Napi::CallbackInfo& info) {
  constexpr double kLargestBytes = 1024.0 * 1024 * 1024;
  const double wanted = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(wanted >= 1 && wanted <= kLargestBytes)) throw Napi::RangeError::New(info.Env(), "Page memory has 1 byte to 1 GiB");
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t bytes = (static_cast<size_t>(wanted) + page - 1) / page * page;
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw Napi::Error::New(info.Env(), std::string("No memory for a buffer: ") + std::strerror(errno));
  const auto external = static_cast<int64_t>(bytes);
  Pin pin = KeepMemory(pages, bytes, [pages, bytes] { munmap(pages, bytes); });
  auto buffer = Napi::Buffer<uint8_t>::New(info.Env(), static_cast<uint8_t*>(pages), bytes, [pin, external](Napi::Env env, uint8_t*) {
    AdjustCountedMemory(env, external);
  });
  AdjustCountedMemory(info.Env(), -external);
  return buffer;
}

void RegisterPageMemory(Napi::Env env, Napi::Object exports) {
  exports.Set("allocatePages", Napi::Function::New(env, AllocatePages, "allocatePages"));
}

}  // namespace vault
