#include "kept-memory.h"

#include <cstdint>
#include <map>
#include <mutex>

namespace vault {
namespace {

struct Kept;

struct Registry {
  std::mutex mutex;
  std::map<uintptr_t, std::weak_ptr<Kept>> by_address;
};

// Never destroyed: a thread of the pool may drop the last pin while the process ends.
Registry& Everything() {
  static auto* registry = new Registry();
  return *registry;
}

struct Kept {
  uintptr_t address;
  size_t bytes;
  std::function<void()> release;

  Kept(void* at, size_t length, std::function<void()> releases)
      : address(reinterpret_cast<uintptr_t>(at)), bytes(length), release(std::move(releases)) {}
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  ~Kept() {
    {
      // First: once it is released, the next may be at the same address.
      std::lock_guard<std::mutex> lock(Everything().mutex);
      Everything().by_address.erase(address);
    }
    release();
  }
};

}  // namespace

Pin KeepMemory(void* address, size_t bytes, std::function<void()> release) {
  auto kept = std::make_shared<Kept>(address, bytes, std::move(release));
  std::lock_guard<std::mutex> lock(Everything().mutex);
  Everything().by_address[kept->address] = kept;
  return kept;
}

void AdjustCountedMemory(napi_env env, int64_t bytes) {
  constexpr uint32_t kLastNode = 22;
  const napi_node_version* node = nullptr;
  if (napi_get_node_version(env, &node) != napi_ok || node->major > kLastNode) return;
  // Only a hint to the collector: what it answers changes nothing.
  int64_t counted = 0;
  napi_adjust_external_memory(env, bytes, &counted);
}

Pin PinMemory(const void* address) {
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  // Outlives the lock: it may turn out to be the last.
  std::shared_ptr<Kept> kept;
  std::lock_guard<std::mutex> lock(Everything().mutex);
  const auto after = Everything().by_address.upper_bound(wanted);
  if (after == Everything().by_address.begin()) return nullptr;
  kept = std::prev(after)->second.lock();
  if (!kept || wanted - kept->address >= kept->bytes) return nullptr;
  return kept;
}

}  // namespace vault
