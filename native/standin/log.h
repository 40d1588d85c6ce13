// The library's log: the caller's functions where it gave some, else standard error.
#pragma once

#include "vixdisklib_abi.h"

namespace standin {

void setLogFunctions(VixLogFunc *log, VixLogFunc *warn, VixLogFunc *panic);
void logInfo(const char *format, ...) __attribute__((format(printf, 1, 2)));
void logWarning(const char *format, ...) __attribute__((format(printf, 1, 2)));
// VDDK does not come back from a panic: the process ends.
[[noreturn]] void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace standin
