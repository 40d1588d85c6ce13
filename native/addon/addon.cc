// The addon's door: each source file registers what it offers. Loaded by src/native only.
#include <napi.h>

#include "batch-work.h"
#include "chunk-table.h"
#include "id-filter.h"
#include "page-memory.h"
#include "seal.h"

// shared-memory.cc
void RegisterSharedMemory(Napi::Env env, Napi::Object exports);

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  vault::RegisterBatchWork(env, exports);
  RegisterSharedMemory(env, exports);
  vault::RegisterPageMemory(env, exports);
  vault::RegisterSeal(env, exports);
  vault::RegisterChunkTable(env, exports);
  vault::RegisterIdFilter(env, exports);
  return exports;
}

NODE_API_MODULE(vapp_vault, Init)
