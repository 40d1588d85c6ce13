#include "ledger.h"

#include "log.h"

namespace standin {
namespace {

// A caller that breaks a rule breaks it a million times.
constexpr size_t kMostBreaches = 100;

const char *nameOf(Kind kind) {
  switch (kind) {
    case Kind::Connection: return "connections that were not disconnected";
    case Kind::Disk: return "disks that were not closed";
    case Kind::Info: return "infos that were not freed";
    case Kind::BlockList: return "block lists that were not freed";
    case Kind::ErrorText: return "error texts that were not freed";
    case Kind::ConnectParams: return "connection parameters that were not freed";
  }
  return "objects";
}

}  // namespace

void Ledger::made(Kind kind, const void *object) {
  std::lock_guard<std::mutex> lock(mutex_);
  objects_[kind].insert(object);
}

bool Ledger::gone(Kind kind, const void *object) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (objects_[kind].erase(object) > 0) return true;
  }
  breach(std::string("an object is given back that is none, or a second time: of those counted among ") + nameOf(kind));
  return false;
}

bool Ledger::knows(Kind kind, const void *object) const {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = objects_.find(kind);
  return found != objects_.end() && found->second.count(object) > 0;
}

void Ledger::onDesignatedThread(const char *function) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (designated_ == std::thread::id()) designated_ = std::this_thread::get_id();
    if (!strictThreads_ || designated_ == std::this_thread::get_id()) return;
  }
  breach(std::string(function) + " runs on another thread than the first ConnectEx or Open");
}

void Ledger::breach(const std::string &what) {
  logWarning("Rule broken: %s\n", what.c_str());
  std::lock_guard<std::mutex> lock(mutex_);
  if (breaches_.size() < kMostBreaches) breaches_.push_back(what);
}

std::vector<std::string> Ledger::takeBreaches() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> result;
  result.swap(breaches_);
  return result;
}

std::vector<std::string> Ledger::leaks() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> result;
  for (const auto &entry : objects_)
    if (!entry.second.empty()) result.push_back(std::to_string(entry.second.size()) + " " + nameOf(entry.first));
  return result;
}

}  // namespace standin
