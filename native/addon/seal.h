#pragma once

#include <napi.h>

namespace vault {
void RegisterSeal(Napi::Env env, Napi::Object exports);
}
