// Memory from the kernel that JavaScript holds as a Buffer while threads work in it. A Buffer's memory goes when it is collected, detached
// or when its environment ends - and an environment that ends frees its youngest Buffers first, before anybody is asked to wait for
// batches. So each batch keeps what it works in by a pin of its own.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace vault {

using Pin = std::shared_ptr<void>;

// The first pin, the Buffer's. `release` runs when all are gone, on the thread that drops the last.
Pin KeepMemory(void* address, size_t bytes, std::function<void()> release);

// What V8 counts as held by Buffers: taken off for memory that is used again or given back explicitly, or V8 collects garbage again
// and again to get rid of what is none. After the Buffer is made: V8 collects when the count is 64 MiB above the lowest it has been
// since the last time, so a count that goes below zero first makes every 64 MiB of ours a collection. Nothing happens in releases of
// Node after 22: V8 ends the process there when less than nothing is counted, even for a moment ("Check failed: amount_before >=
// -delta", 24.21).
void AdjustCountedMemory(napi_env env, int64_t bytes);

// One more, of the memory that holds `address`; null where it is V8's own, which outlives every batch.
Pin PinMemory(const void* address);

}  // namespace vault
