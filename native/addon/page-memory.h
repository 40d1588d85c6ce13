#pragma once

#include <napi.h>

namespace vault {
void RegisterPageMemory(Napi::Env env, Napi::Object exports);
}
