// Memory shared with a vddk-host process: createSharedMemory(bytes) -> { fd, buffer, close() }.
#pragma once

#include <napi.h>

void RegisterSharedMemory(Napi::Env env, Napi::Object exports);
