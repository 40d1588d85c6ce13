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
    queue_.push_back(std::move(batch));
  }
  changed_.notify_all();
}

void OpenDisk::cancel(uint64_t batchId) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    cancelled_ = batchId;
  }
  changed_.notify_all();
}

void OpenDisk::drain() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void OpenDisk::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Batch batch = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    run(batch);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

// The worker checked these too; a wrong number here would let the library write over this process.
const char *OpenDisk::complaint(const IoRequest &request) const {
  if (request.offsetBytes % vix::kSectorBytes != 0 || request.lengthBytes % vix::kSectorBytes != 0) return "not a whole number of sectors";
  if (request.lengthBytes == 0 || request.lengthBytes > limits_.maxRequestBytes) return "empty or larger than the largest request";
  if (request.memoryOffset > memory_.bytes || request.lengthBytes > memory_.bytes - request.memoryOffset) return "outside the shared memory";
  return nullptr;
}

void OpenDisk::completed(void *data, VixError result) {
  auto *pending = static_cast<Pending *>(data);
  pending->disk->finished(result, pending->offsetBytes);
}

void OpenDisk::finished(VixError result, uint64_t offsetBytes) {
  // Notified under the lock: the batch may be over, and the disk closed, the moment it is released.
  std::lock_guard<std::mutex> lock(mutex_);
  inFlight_--;
  completions_++;
  if (result != vix::kOk && error_ == vix::kOk) {
    error_ = result;
    errorOffsetBytes_ = offsetBytes;
  }
  changed_.notify_all();
}

// A slow batch is not a hung one: the worker hears at most once a second that something was completed.
template <typename Condition>
void OpenDisk::waitReportingProgress(std::unique_lock<std::mutex> &lock, uint64_t batchId, Condition condition) {
  for (;;) {
    bool done = changed_.wait_for(lock, kProgressInterval, condition);
    auto now = std::chrono::steady_clock::now();
    if (completions_ != reportedCompletions_ && now - reportedAt_ >= kProgressInterval) {
      reportedCompletions_ = completions_;
      reportedAt_ = now;
      lock.unlock();
      channel_.send(FrameType::Progress, batchId, "");
      lock.lock();
    }
    if (done) return;
  }
}

void OpenDisk::run(const Batch &batch) {
  for (const IoRequest &request : batch.requests) {
    if (const char *what = complaint(request)) {
      channel_.answer(batch.id, plainFailure("argument", "a request of " + std::to_string(request.lengthBytes) + " bytes at " +
                                                             std::to_string(request.offsetBytes) + " is " + what));
      return;
    }
  }
  std::vector<Pending> pending;
  pending.reserve(batch.requests.size());
  std::unique_lock<std::mutex> lock(mutex_);
  error_ = vix::kOk;
  reportedCompletions_ = completions_;
  reportedAt_ = std::chrono::steady_clock::now();
  auto stopped = [&] { return error_ != vix::kOk || cancelled_ == batch.id; };
  for (const IoRequest &request : batch.requests) {
    waitReportingProgress(lock, batch.id, [&] { return inFlight_ < limits_.ioDepth || stopped(); });
    if (stopped()) break;
    inFlight_++;
    lock.unlock();
    pending.push_back({this, request.offsetBytes});
    VixSector start = request.offsetBytes / vix::kSectorBytes;
    VixSector count = request.lengthBytes / vix::kSectorBytes;
    uint8_t *buffer = memory_.address + request.memoryOffset;
    // The completion may run inside this call; no lock is held around it.
    VixError error = batch.write ? library_.WriteAsync(handle_, start, count, buffer, completed, &pending.back())
                                 : library_.ReadAsync(handle_, start, count, buffer, completed, &pending.back());
    if (vix::code(error) != vix::kAsync) finished(error == vix::kOk ? static_cast<VixError>(vix::kFail) : error, request.offsetBytes);
    lock.lock();
  }
  waitReportingProgress(lock, batch.id, [&] { return inFlight_ == 0; });
  VixError error = error_;
  bool cancelled = cancelled_ == batch.id;
  uint64_t offsetBytes = errorOffsetBytes_;
  lock.unlock();
  if (error != vix::kOk) {
    const char *function = batch.write ? "VixDiskLib_WriteAsync" : "VixDiskLib_ReadAsync";
    channel_.answer(batch.id, vixFailure(library_, function, error).set("offsetBytes", vault::Json::u64(offsetBytes)));
  } else if (cancelled) {
    channel_.answer(batch.id, plainFailure("cancelled", "the batch was cancelled"));
  } else {
    channel_.answer(batch.id, vault::Json::object().set("ok", true));
  }
}

}  // namespace host
