// Memory from the kernel that JavaScript holds as a Buffer while threads work in it. A Buffer's memory goes when it is collected, detached
// or when its environment ends - and an environment that ends frees its youngest Buffers first, before anybody is asked to wait for
// batches. So each batch keeps what it works in by a pin of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace vault {

using Pin = std::shared_ptr<void>;

// The first pin, the Buffer's. `release` runs when all are gone, on the thread that drops the last.
Pin KeepMemory(void* address, size_t bytes, std::function<void()> release);

// One more, of the memory that holds `address`; null where it is V8's own, which outlives every batch.
Pin PinMemory(const void* address);

}  // namespace vault
