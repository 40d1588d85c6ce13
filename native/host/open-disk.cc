#include "open-disk.h"

#include "library-log.h"

#include <chrono>

namespace host {
namespace {

constexpr auto kProgressInterval = std::chrono::seconds(1);

}  // namespace

vault::Json vixFailure(const Library &library, const char *function, VixError error) {
  char *text = library.GetErrorText(error, nullptr);
  vault::Json lines = vault::Json::array();
  for (const std::string &line : lastLogLines()) lines.push(line);
  vault::Json answer = vault::Json::object().set("ok", false).set("kind", "vix").set("function", function).set("vixError", vault::Json::u64(error));
  answer.set("text", text ? text : "").set("lines", lines);
  if (text) library.FreeErrorText(text);
  return answer;
}

vault::Json plainFailure(const char *kind, const std::string &message) {
  return vault::Json::object().set("ok", false).set("kind", kind).set("message", message);
}

OpenDisk::OpenDisk(const Library &library, VixDisk *handle, VixSector capacity, const SharedMemory &memory, const Limits &limits, Channel &channel)
    : library_(library), handle_(handle), capacity_(capacity), memory_(memory), limits_(limits), channel_(channel), thread_([this] { work(); }) {}

OpenDisk::~OpenDisk() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void OpenDisk::submit(Batch batch) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    Running &running = running_.emplace_back();
    running.complaint = complaint(batch);
    running.pending.reserve(batch.requests.size());
    running.batch = std::move(batch);
  }
  changed_.notify_all();
}

void OpenDisk::cancel(uint64_t batchId) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Running &running : running_) {
      if (running.batch.id == batchId) running.cancelled = true;
    }
  }
  changed_.notify_all();
}

void OpenDisk::drain() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return running_.empty(); });
}

void OpenDisk::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    answerOver(lock);
    Running *next = inFlight_ < limits_.ioDepth ? nextToSubmit() : nullptr;
    if (next) {
      submitOne(lock, *next);
      continue;
    }
    if (ending_ && running_.empty()) return;
    changed_.wait_for(lock, kProgressInterval,
                      [this] { return anyOver() || (inFlight_ < limits_.ioDepth && nextToSubmit()) || (ending_ && running_.empty()); });
    reportProgress(lock);
  }
}

OpenDisk::Running *OpenDisk::nextToSubmit() {
  for (Running &running : running_) {
    if (!running.submitted()) return &running;
  }
  return nullptr;
}

bool OpenDisk::anyOver() const {
  for (const Running &running : running_) {
    if (running.over()) return true;
  }
  return false;
}

// The worker checked these too; a wrong number here would let the library write over this process.
std::string OpenDisk::complaint(const Batch &batch) const {
  for (const IoRequest &request : batch.requests) {
    const char *what = nullptr;
    if (request.offsetBytes % vix::kSectorBytes != 0 || request.lengthBytes % vix::kSectorBytes != 0) what = "not a whole number of sectors";
    if (request.lengthBytes == 0 || request.lengthBytes > limits_.maxRequestBytes) what = "empty or larger than the largest request";
    if (request.memoryOffset > memory_.bytes || request.lengthBytes > memory_.bytes - request.memoryOffset) what = "outside the shared memory";
    if (what) return "a request of " + std::to_string(request.lengthBytes) + " bytes at " + std::to_string(request.offsetBytes) + " is " + what;
  }
  return "";
}

void OpenDisk::submitOne(std::unique_lock<std::mutex> &lock, Running &running) {
  const IoRequest &request = running.batch.requests[running.next++];
  running.pending.push_back({this, &running, request.offsetBytes});
  Pending *pending = &running.pending.back();
  bool write = running.batch.write;
  running.inFlight++;
  inFlight_++;
  lock.unlock();
  VixSector start = request.offsetBytes / vix::kSectorBytes;
  VixSector count = request.lengthBytes / vix::kSectorBytes;
  uint8_t *buffer = memory_.address + request.memoryOffset;
  // The completion may run inside this call; no lock is held around it. This thread alone removes
  // batches, so `running` stays where it is.
  VixError error = write ? library_.WriteAsync(handle_, start, count, buffer, completed, pending)
                         : library_.ReadAsync(handle_, start, count, buffer, completed, pending);
  if (vix::code(error) != vix::kAsync) finished(running, error == vix::kOk ? static_cast<VixError>(vix::kFail) : error, request.offsetBytes);
  lock.lock();
}

void OpenDisk::completed(void *data, VixError result) {
  auto *pending = static_cast<Pending *>(data);
  pending->disk->finished(*pending->running, result, pending->offsetBytes);
}

void OpenDisk::finished(Running &running, VixError result, uint64_t offsetBytes) {
  // Notified under the lock: the batch may be over, and the disk closed, the moment it is released.
  std::lock_guard<std::mutex> lock(mutex_);
  running.inFlight--;
  inFlight_--;
  completions_++;
  if (result != vix::kOk && running.error == vix::kOk) {
    running.error = result;
    running.errorOffsetBytes = offsetBytes;
  }
  changed_.notify_all();
}

void OpenDisk::answerOver(std::unique_lock<std::mutex> &lock) {
  for (auto at = running_.begin(); at != running_.end();) {
    if (!at->over()) {
      ++at;
      continue;
    }
    // Out of the list first: from now on nobody else sees it.
    std::list<Running> over;
    over.splice(over.begin(), running_, at++);
    lock.unlock();
    answer(over.front());
    lock.lock();
    changed_.notify_all();
    at = running_.begin();
  }
}

// A slow batch is not a hung one: the worker hears at most once a second that something was completed.
void OpenDisk::reportProgress(std::unique_lock<std::mutex> &lock) {
  auto now = std::chrono::steady_clock::now();
  if (completions_ == reportedCompletions_ || now - reportedAt_ < kProgressInterval) return;
  reportedCompletions_ = completions_;
  reportedAt_ = now;
  std::vector<uint64_t> alive;
  for (const Running &running : running_) alive.push_back(running.batch.id);
  lock.unlock();
  for (uint64_t id : alive) channel_.send(FrameType::Progress, id, "");
  lock.lock();
}

void OpenDisk::answer(const Running &running) {
  uint64_t id = running.batch.id;
  if (!running.complaint.empty()) {
    channel_.answer(id, plainFailure("argument", running.complaint));
  } else if (running.error != vix::kOk) {
    const char *function = running.batch.write ? "VixDiskLib_WriteAsync" : "VixDiskLib_ReadAsync";
    channel_.answer(id, vixFailure(library_, function, running.error).set("offsetBytes", vault::Json::u64(running.errorOffsetBytes)));
  } else if (running.cancelled) {
    channel_.answer(id, plainFailure("cancelled", "the batch was cancelled"));
  } else {
    channel_.answer(id, vault::Json::object().set("ok", true));
  }
}

}  // namespace host
