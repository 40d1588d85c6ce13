#pragma once

#include <napi.h>

namespace vault {
void RegisterChunkTable(Napi::Env env, Napi::Object exports);
}
