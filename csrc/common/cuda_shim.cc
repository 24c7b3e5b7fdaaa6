// The fibers behind cuda_shim.h. Compiled into the test module only.
#include "common/cuda_shim.h"

#include <ucontext.h>

#include <memory>
#include <new>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

thread_local CudaIndex threadIdx, blockIdx, blockDim, gridDim;

namespace kerascnn {
namespace shim {
namespace {

constexpr int kLanes = 32;
constexpr size_t kStackBytes = 128 << 10;
int64_t max_blocks = 0;

enum class State { kReady, kAtBarrier, kInWarp, kDone };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  void* sanitizer = nullptr;  // what the address sanitizer keeps of a stack that is left
  State state = State::kReady;
  unsigned mask = 0;                   // of the warp operation it waits in
  unsigned char passed[kGatherBytes];  // to that operation
};

// One block at a time; fibers and their stacks are kept for the next block.
class Block {
 public:
  std::string Run(int threads, int64_t shared_bytes, const Body& body);
  void Wait(State state);
  void Main();

  std::vector<std::unique_ptr<Fiber>> fibers;
  Fiber* running = nullptr;
  unsigned char gathered[kLanes * kGatherBytes];
  void* shared = nullptr;
  std::string wrong;

 private:
  void Prepare(int threads);
  void Resume(int thread);
  bool ReleaseGroup(int first);
  bool RunUntilBarrier();

  const Body* body_ = nullptr;
  ucontext_t scheduler_;
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_bytes_ = 0;
  int threads_ = 0;
};

thread_local Block* current = nullptr;

void Enter() { current->Main(); }

void Block::Prepare(int threads) {
  while (static_cast<int>(fibers.size()) < threads) {
    fibers.push_back(std::make_unique<Fiber>());
    fibers.back()->stack.reset(new char[kStackBytes]);
    fibers.back()->state = State::kInWarp;  // not started yet: its context is made below
  }
  for (auto& fiber : fibers) {
    if (fiber->state != State::kDone) {  // new, or given up half way in the block before
      getcontext(&fiber->context);
      fiber->context.uc_stack.ss_sp = fiber->stack.get();
      fiber->context.uc_stack.ss_size = kStackBytes;
      fiber->context.uc_link = nullptr;
      makecontext(&fiber->context, Enter, 0);
#ifdef __SANITIZE_ADDRESS__
      __asan_unpoison_memory_region(fiber->stack.get(), kStackBytes);
#endif
    }
    fiber->state = State::kReady;
  }
}

void Block::Resume(int thread) {
  running = fibers[thread].get();
  threadIdx.x = thread;
#ifdef __SANITIZE_ADDRESS__
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, running->stack.get(), kStackBytes);
#endif
  swapcontext(&scheduler_, &running->context);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

// Called on a fiber: back to the scheduler until it is this fiber's turn again.
void Block::Wait(State state) {
  Fiber* const self = running;
  self->state = state;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&self->sanitizer, scheduler_stack_, scheduler_bytes_);
#endif
  swapcontext(&self->context, &scheduler_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(self->sanitizer, nullptr, nullptr);
#endif
}

// A fiber's life: the kernel's body once per block.
void Block::Main() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack_, &scheduler_bytes_);
#endif
  while (true) {
    body_->call(body_->object);
    Wait(State::kDone);
  }
}

// Lets the lanes of one complete warp operation go on, if the warp that begins at `first` has one.
bool Block::ReleaseGroup(int first) {
  for (int lane = 0; lane < kLanes; ++lane) {
    if (fibers[first + lane]->state != State::kInWarp) continue;
    const unsigned mask = fibers[first + lane]->mask;
    bool complete = true;
    for (int other = 0; other < kLanes; ++other) {
      const Fiber& fiber = *fibers[first + other];
      if (mask >> other & 1) complete &= fiber.state == State::kInWarp && fiber.mask == mask;
    }
    if (!complete) continue;
    for (int other = 0; other < kLanes; ++other) {
      if (!(mask >> other & 1)) continue;
      std::memcpy(gathered + other * kGatherBytes, fibers[first + other]->passed, kGatherBytes);
      fibers[first + other]->state = State::kReady;
    }
    for (int other = 0; other < kLanes; ++other) {
      if (mask >> other & 1) Resume(first + other);
    }
    return true;
  }
  return false;
}

// Runs every thread to its next barrier or its end; false when all have ended or something is wrong.
bool Block::RunUntilBarrier() {
  int waiting = 0, done = 0;
  for (int first = 0; first < threads_; first += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) Resume(first + lane);
    while (wrong.empty() && ReleaseGroup(first)) continue;
    for (int lane = 0; lane < kLanes; ++lane) {
      const State state = fibers[first + lane]->state;
      waiting += state == State::kAtBarrier;
      done += state == State::kDone;
    }
  }
  if (wrong.empty() && waiting + done < threads_) wrong = "lanes of a shuffle's mask do not take part in it";
  if (wrong.empty() && waiting > 0 && done > 0) wrong = "threads end while others wait at a barrier";
  for (int i = 0; i < threads_ && wrong.empty(); ++i) {
    if (waiting > 0) fibers[i]->state = State::kReady;
  }
  return wrong.empty() && waiting > 0;
}

std::string Block::Run(int threads, int64_t shared_bytes, const Body& body) {
  threads_ = threads;
  body_ = &body;
  wrong.clear();
  Prepare(threads);
  const auto free = [](void* memory) { ::operator delete(memory, std::align_val_t(16)); };
  const std::unique_ptr<void, decltype(free)> memory(::operator new(shared_bytes, std::align_val_t(16)), free);
  std::memset(memory.get(), 0xff, shared_bytes);
  shared = memory.get();
  while (RunUntilBarrier()) continue;
  return wrong;
}

}  // namespace

std::string Run(int64_t blocks, int threads, int64_t shared_bytes, Body body) {
  if (threads < kLanes || threads > 1024 || threads % kLanes != 0) {
    return "a block must have 32 to 1024 threads, a multiple of 32. Received: " + std::to_string(threads);
  }
  if (shared_bytes > 48 << 10) return "too much shared memory. Received: " + std::to_string(shared_bytes);
  if (max_blocks > 0) blocks = std::min(blocks, max_blocks);
  static thread_local Block block;
  current = &block;
  blockDim.x = threads;
  gridDim.x = static_cast<unsigned>(blocks);
  blockDim.y = blockDim.z = gridDim.y = gridDim.z = 1;
  std::string wrong;
  for (int64_t i = 0; i < blocks && wrong.empty(); ++i) {
    blockIdx.x = static_cast<unsigned>(i);
    wrong = block.Run(threads, shared_bytes, body);
  }
  current = nullptr;
  return wrong.empty() ? "" : "CUDA on the CPU: " + wrong;
}

void SetMaxBlocks(int64_t blocks) { max_blocks = blocks; }

void* SharedMemory() { return current->shared; }

void Fail(const std::string& what) {
  if (current->wrong.empty()) current->wrong = what;
}

void SyncThreads() { current->Wait(State::kAtBarrier); }

const unsigned char* WarpGather(unsigned mask, const void* mine, int bytes) {
  Block& block = *current;
  if (!(mask >> Lane() & 1)) Fail("a lane is missing from its own mask");
  if (bytes > 0) std::memcpy(block.running->passed, mine, bytes);
  block.running->mask = mask;
  block.Wait(State::kInWarp);
  return block.gathered;
}

}  // namespace shim
}  // namespace kerascnn
