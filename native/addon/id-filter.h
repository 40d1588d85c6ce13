// IdFilter: a Bloom filter over record ids, for the collector's mark.
#pragma once

#include <napi.h>

namespace vault {

void RegisterIdFilter(Napi::Env env, Napi::Object exports);

}  // namespace vault
