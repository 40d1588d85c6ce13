#include "log.h"

#include <cstdio>
#include <cstdlib>

namespace standin {
namespace {

void standardError(const char *format, va_list arguments) { std::vfprintf(stderr, format, arguments); }

VixLogFunc *infoFunction = standardError;
VixLogFunc *warnFunction = standardError;
VixLogFunc *panicFunction = standardError;

}  // namespace

void setLogFunctions(VixLogFunc *log, VixLogFunc *warn, VixLogFunc *panicLog) {
  infoFunction = log ? log : standardError;
  warnFunction = warn ? warn : standardError;
  panicFunction = panicLog ? panicLog : standardError;
}

void logInfo(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  infoFunction(format, arguments);
  va_end(arguments);
}

void logWarning(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  warnFunction(format, arguments);
  va_end(arguments);
}

void panic(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  panicFunction(format, arguments);
  va_end(arguments);
  std::abort();
}

}  // namespace standin
