// VDDK's log. Lines go to standard error as "<level> <text>" and the last ones are kept, because
// the code of an error alone ("1: Unknown error.") explains nothing.
#pragma once

#include <string>
#include <vector>

namespace host {

// For InitEx; any thread of the library may call them.
void logInfo(const char *format, __builtin_va_list arguments);
void logWarning(const char *format, __builtin_va_list arguments);
void logPanic(const char *format, __builtin_va_list arguments);

// VDDK prints what it is given at high log levels. This text never leaves the process again.
void hideInLog(const std::string &secret);
std::vector<std::string> lastLogLines();
// From the library's first line, "VMware VixDiskLib (8.0.0) Release build-…"; empty when it wrote none.
std::string versionFromLog();

}  // namespace host
