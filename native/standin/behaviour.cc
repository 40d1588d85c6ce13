#include "behaviour.h"

#include "error.h"
#include "log.h"

#include <algorithm>

namespace standin {
namespace {

constexpr uint64_t kMostLogThreads = 16;
constexpr int kLinesOfEachThread = 100;

Callbacks callbacksNamed(const std::string &name) {
  if (name.empty() || name == "pool") return Callbacks::Pool;
  if (name == "inline") return Callbacks::Inline;
  if (name == "late") return Callbacks::Late;
  if (name == "reversed") return Callbacks::Reversed;
  throw VixFailure(vix::kInvalidArgument, "callbacks are pool, inline, late or reversed, not \"" + name + "\"");
}

}  // namespace

Behaviour Behaviour::from(const Configuration &configuration) {
  Behaviour result;
  result.callbacks = callbacksNamed(configuration.text("standin.callbacks"));
  result.highBits = configuration.number("standin.highBits", 0) != 0;
  result.logThreads = std::min(configuration.number("standin.logThreads", 0), kMostLogThreads);
  return result;
}

Behaviour Behaviour::orderedBy(const vault::Json &order) const {
  Behaviour result = *this;
  if (order["callbacks"].isString()) result.callbacks = callbacksNamed(order["callbacks"].string());
  result.highBits = order["highBits"].boolOr(highBits);
  result.logThreads = std::min(order["logThreads"].u64Or(logThreads), kMostLogThreads);
  return result;
}

Chatter::Chatter(uint64_t threads) {
  for (uint64_t number = 0; number < threads; number++) {
    threads_.emplace_back([number] {
      for (int line = 0; line < kLinesOfEachThread; line++)
        logInfo("thread %llu of the library says line %d\n", static_cast<unsigned long long>(number), line);
    });
  }
}

Chatter::~Chatter() {
  for (std::thread &thread : threads_) thread.join();
}

}  // namespace standin
