#include "job_queue.h"

#include <algorithm>

#include "environment.h"

namespace copse {
namespace {

// Jobs that are handed back together: few enough that JavaScript has something to do meanwhile.
constexpr size_t kHandful = 16;
// Jobs in one turn.
constexpr size_t kTurn = 128;

}  // namespace

bool JobQueue::Add(Job* job) {
  const std::lock_guard<std::mutex> hold(mutex_);
  waiting_.push_back(job);
  if (has_runner_) return false;
  has_runner_ = true;
  return true;
}

void JobQueue::Take(std::vector<Job*>* handful) {
  const std::lock_guard<std::mutex> hold(mutex_);
  const size_t count = std::min(kHandful, waiting_.size() - taken_);
  const auto first = waiting_.begin() + static_cast<std::ptrdiff_t>(taken_);
  handful->assign(first, first + static_cast<std::ptrdiff_t>(count));
  taken_ += count;
  if (taken_ == waiting_.size()) {
    waiting_.clear();
    taken_ = 0;
  }
  if (count == 0) has_runner_ = false;
}

QueueRunner::QueueRunner(Environment* environment, std::shared_ptr<JobQueue> queue, PoolLane lane)
    : environment_(environment), queue_(std::move(queue)), lane_(lane) {}

QueueRunner::~QueueRunner() {
  if (begun_) return;
  for (size_t i = queue_->taken_; i < queue_->waiting_.size(); i += 1) delete queue_->waiting_[i];
}

void QueueRunner::Run() {
  begun_ = true;
  std::vector<Job*> handful;
  for (size_t done = 0; done < kTurn; done += handful.size()) {
    queue_->Take(&handful);
    if (handful.empty()) {
      environment_->EndRunner();
      delete this;
      return;
    }
    for (Job* job : handful) job->Work();
    environment_->Complete(handful);
  }
  begun_ = false;
  ThreadPool::Shared().Submit(this, lane_, environment_);
}

}  // namespace copse
