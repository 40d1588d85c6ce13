#include "library-log.h"

#include <cstdarg>
#include <cstdio>
#include <deque>
#include <mutex>
#include <unistd.h>

namespace host {
namespace {

constexpr size_t kKeptLines = 12;
constexpr size_t kShortestSecret = 4;

std::mutex mutex;
std::deque<std::string> lines;
std::vector<std::string> secrets;
std::string version;

// VDDK 7 and later complain about the customer experience programme all the time (7.0.2 release notes): kept among the
// last lines, that would push out the one which explains a failure.
bool isNoise(const std::string &line) {
  for (const char *word : {"PhoneHome", "phoneHome", "CEIP"})
    if (line.find(word) != std::string::npos) return true;
  return false;
}

void log(const char *level, const char *format, va_list arguments) {
  char buffer[4096];
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  std::string text(buffer);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  for (char &c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  std::lock_guard<std::mutex> lock(mutex);
  for (const std::string &secret : secrets)
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) text.replace(at, secret.size(), "[removed]");
  size_t mark = text.find("VixDiskLib (");
  if (version.empty() && mark != std::string::npos) version = text.substr(mark + 12, text.find(')', mark) - mark - 12);
  if (!isNoise(text)) lines.push_back(text);
  if (lines.size() > kKeptLines) lines.pop_front();
  text = std::string(level) + " " + text + "\n";
  // One write per line keeps lines of several threads apart; a full pipe may lose the tail of one.
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace

void logInfo(const char *format, va_list arguments) { log("info", format, arguments); }
void logWarning(const char *format, va_list arguments) { log("warning", format, arguments); }
void logPanic(const char *format, va_list arguments) { log("panic", format, arguments); }

void hideInLog(const std::string &secret) {
  if (secret.size() < kShortestSecret) return;
  std::lock_guard<std::mutex> lock(mutex);
  for (const std::string &known : secrets)
    if (known == secret) return;
  secrets.push_back(secret);
}

std::vector<std::string> lastLogLines() {
  std::lock_guard<std::mutex> lock(mutex);
  return {lines.begin(), lines.end()};
}

std::string versionFromLog() {
  std::lock_guard<std::mutex> lock(mutex);
  return version;
}

}  // namespace host
