// The general search for a legal order: its strategy, and its binding.
//
// search_new(call, ret, kind, flags, engines, rules, states) -> search
//   call, ret, kind: int64[n] buffers; ret is 2**62 for an indeterminate operation, kind in
//   [0, len(flags)). flags: one byte a class; 1: pure, 2: blind. State 0 is the initial one.
//   engines: which take part, a sum; 1: depth first, 2: unlimited supply, 4: breadth first.
//   rules: empty, or int32[classes][3]: what each class does to a register with so many states (0: a
//   read of [1], 1: a write of [2], 2: a compare-and-set of [1] to [2], 3: it was not [1]); then
//   the model is never asked.
//   ValueError if the columns do not fit together, OverflowError if more operations are open at
//   one time than there is room for.
// search_run(search, steps, seconds, bytes) -> (status, steps, passed, stuck, held, pairs)
//   Goes on for so many steps and seconds, and holds no more than so many bytes. status:
//   0 legal, 1 illegal, 2 the model must be asked, 3 steps spent, 4 seconds spent, 5 bytes spent.
//   steps: those taken. passed: returns in order on the longest way. stuck: the operation whose
//   return comes next, or -1. held: bytes. pairs: int32[][2], state and class; search_answer must
//   come before the next search_run if there are any.
// search_answer(search, next)
//   next: an int32 for each pair, -1 (illegal) or a state. A state not met before is the number of
//   those met so far. ValueError if the answers do not fit.
// One search is used by one thread at a time (RuntimeError); several run at the same time.
#include "native.hpp"
#include "search_engines.hpp"

#include <atomic>
#include <climits>
#include <cmath>
#include <new>
#include <utility>

namespace {

using namespace search;

constexpr i32 SLOTS_MAX = 64 * 64;
constexpr i64 FIRST_STEPS = 4096, FIRST_STEPS_PER_RETURN = 4;
constexpr std::size_t BYTES_PER_OPERATION = 40;  // of the timeline
// How many states an unlimited supply may lead to, beyond twice the number of classes: a counter or
// a log would grow for ever, while a register holds one of the values written.
constexpr i64 RELAXED_STATES = 256;

class Search {
 public:
  Search(const i64* call, const i64* ret, const i64* kind, const unsigned char* flags, i32 count,
         i32 classes, int engines, std::vector<Rule> rules, i32 states)
      : timeline(call, ret, kind, flags, count, classes),
        transitions(meter, timeline.blind, std::move(rules), states),
        turn_steps_(FIRST_STEPS + FIRST_STEPS_PER_RETURN * timeline.goal()) {
    meter.take(sizeof(Search) + static_cast<std::size_t>(count) * BYTES_PER_OPERATION);
    for (int which = 0; which < ENGINES; ++which) started_[which] = (engines >> which & 1) == 0;
    started_[RELAXED] |= timeline.supplies.empty();
  }

  // Depth first, then (where operations are indeterminate) breadth first with an unlimited supply
  // of them, then breadth first; then again, each for twice as long, until one knows. "Illegal" of
  // the one with an unlimited supply is an answer, "legal" is none.
  Status run(i64& steps, Clock::time_point deadline, std::size_t bytes) {
    meter.limit = bytes;
    states_[turn_] += transitions.states() - states_known_;
    states_known_ = transitions.states();
    if (states_[RELAXED] > RELAXED_STATES + 2 * static_cast<i64>(timeline.pure.size())) {
      engines_[RELAXED].reset();
    }
    for (;;) {
      if (!started_[turn_]) start(turn_);
      if (engines_[turn_]) {
        const Status status = turn(steps, deadline);
        if (status == Status::STEPS ? steps <= 0 : status != Status::MEMORY && !void_legal(status)) {
          return status;
        }
        if (status != Status::STEPS) engines_[turn_].reset();
      }
      if (exhausted()) return Status::MEMORY;
      if (!engines_[turn_] || left_ <= 0) next_turn();
    }
  }

  Meter meter;
  Timeline timeline;
  Transitions transitions;
  i32 passed = 0;
  std::atomic_flag busy = ATOMIC_FLAG_INIT;

 private:
  enum { DEPTH, RELAXED, BREADTH, ENGINES };

  // Whether no engine is left.
  bool exhausted() const {
    for (int which = 0; which < ENGINES; ++which) {
      if (!started_[which] || engines_[which]) return false;
    }
    return true;
  }
  // Without bounds on the supply "legal" says nothing.
  bool void_legal(Status status) const { return turn_ == RELAXED && status == Status::LEGAL; }

  Status turn(i64& steps, Clock::time_point deadline) {
    Engine& engine = *engines_[turn_];
    // Breadth-first needs little for long; what the others hold must not keep it from that.
    engine.meter().limit = turn_ == BREADTH ? SIZE_MAX : meter.limit / 2;
    const i64 offered = std::min(steps, left_);
    i64 rest = offered;
    Status status;
    try {
      status = engine.run(rest, deadline);
    } catch (const MemorySpent&) {
      status = Status::MEMORY;
    } catch (const std::bad_alloc&) {
      status = Status::MEMORY;
    }
    steps -= offered - rest;
    left_ -= offered - rest;
    if (status == Status::ILLEGAL) {
      passed = engine.passed();
    } else if (turn_ != RELAXED) {
      passed = std::max(passed, engine.passed());
    }
    return status;
  }
  void next_turn() {
    turn_ = (turn_ + 1) % ENGINES;
    if (turn_ == DEPTH) turn_steps_ *= 2;
    left_ = turn_steps_;
  }
  void start(int which) {
    started_[which] = true;
    try {
      if (timeline.slots <= 64) {
        engines_[which] = made<1>(which);
      } else if (timeline.slots <= 128) {
        engines_[which] = made<2>(which);
      } else if (timeline.slots <= 256) {
        engines_[which] = made<4>(which);
      } else if (timeline.slots <= 1024) {
        engines_[which] = made<16>(which);
      } else {
        engines_[which] = made<64>(which);
      }
    } catch (const MemorySpent&) {
    } catch (const std::bad_alloc&) {
    }
  }
  template <int W>
  std::unique_ptr<Engine> made(int which) {
    if (which == DEPTH) return std::make_unique<DepthFirst<W>>(meter, timeline, transitions);
    return std::make_unique<BreadthFirst<W>>(meter, timeline, transitions, which == RELAXED);
  }

  std::unique_ptr<Engine> engines_[ENGINES];
  bool started_[ENGINES] = {false, false, false};
  i64 states_[ENGINES] = {0, 0, 0};  // that came up in its turns
  i32 states_known_ = transitions.states();
  int turn_ = DEPTH;
  i64 turn_steps_;
  i64 left_ = turn_steps_;
};

constexpr const char* NAME = "harness.core.kernels._native.search";

void destroy(PyObject* capsule) {
  delete static_cast<Search*>(PyCapsule_GetPointer(capsule, NAME));
}

// Buffers of the arguments, given back in any case.
struct Buffers {
  Py_buffer views[5] = {};
  ~Buffers() {
    for (Py_buffer& view : views) {
      if (view.obj != nullptr) PyBuffer_Release(&view);
    }
  }
};

PyObject* refuse(const char* why) {
  PyErr_SetString(PyExc_ValueError, why);
  return nullptr;
}

const char* problem(const i64* call, const i64* ret, const i64* kind, Py_ssize_t count,
                    Py_ssize_t classes) {
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (kind[i] < 0 || kind[i] >= classes) return "a kind is not a class";
    if (ret[i] < call[i]) return "an operation returns before it is called";
  }
  return nullptr;
}

bool aligned(const void* pointer, std::size_t to) {
  return reinterpret_cast<std::uintptr_t>(pointer) % to == 0;
}

// Whether the rules are none, or one for each class that leads from states to states.
const char* rules_problem(const Py_buffer& view, Py_ssize_t classes, int states) {
  if (states < 1) return "there is at least one state";
  if (view.len == 0) return nullptr;
  if (view.len != classes * static_cast<Py_ssize_t>(sizeof(Rule)) ||
      !aligned(view.buf, alignof(Rule))) {
    return "rules must be int32[classes][3]";
  }
  const Rule* rules = static_cast<const Rule*>(view.buf);
  for (Py_ssize_t i = 0; i < classes; ++i) {
    const Rule& rule = rules[i];
    if (rule.kind < Rule::READ || rule.kind > Rule::MISMATCH) return "a rule is of no kind";
    const bool writes = rule.kind == Rule::WRITE || rule.kind == Rule::CAS;
    if (writes && (rule.written < 0 || rule.written >= states)) return "a rule leads to no state";
  }
  return nullptr;
}

PyObject* search_new(PyObject*, PyObject* args) {
  Buffers in;
  int engines, states;
  if (!PyArg_ParseTuple(args, "y*y*y*y*iy*i", &in.views[0], &in.views[1], &in.views[2],
                        &in.views[3], &engines, &in.views[4], &states)) {
    return nullptr;
  }
  const Py_ssize_t bytes = in.views[0].len, classes = in.views[3].len;
  if (bytes % 8 != 0 || in.views[1].len != bytes || in.views[2].len != bytes) {
    return refuse("call, ret and kind must be int64 and equally long");
  }
  const Py_ssize_t count = bytes / 8;
  if (count > INT_MAX / 2 || classes > INT_MAX / 2) return refuse("too many operations");
  for (int i = 0; i < 3; ++i) {
    if (!aligned(in.views[i].buf, alignof(i64))) return refuse("a column is not aligned");
  }
  const i64* columns[3];
  for (int i = 0; i < 3; ++i) columns[i] = static_cast<const i64*>(in.views[i].buf);
  const char* why = problem(columns[0], columns[1], columns[2], count, classes);
  if (why != nullptr) return refuse(why);
  const char* wrong = rules_problem(in.views[4], classes, states);
  if (wrong != nullptr) return refuse(wrong);
  Search* made = nullptr;
  try {
    const Rule* rule = static_cast<const Rule*>(in.views[4].buf);
    std::vector<Rule> rules(rule, rule + in.views[4].len / sizeof(Rule));
    made = new Search(columns[0], columns[1], columns[2],
                      static_cast<const unsigned char*>(in.views[3].buf), static_cast<i32>(count),
                      static_cast<i32>(classes), engines, std::move(rules), states);
  } catch (const std::bad_alloc&) {
  }
  if (made == nullptr) return PyErr_NoMemory();
  if (made->timeline.slots > SLOTS_MAX) {
    delete made;
    PyErr_SetString(PyExc_OverflowError, "too many operations are open at the same time");
    return nullptr;
  }
  PyObject* capsule = PyCapsule_New(made, NAME, destroy);
  if (capsule == nullptr) delete made;
  return capsule;
}

// The search in a capsule, used by nobody else as long as this lives; null with an error set.
class Held {
 public:
  explicit Held(PyObject* capsule)
      : search_(static_cast<Search*>(PyCapsule_GetPointer(capsule, NAME))) {
    if (search_ != nullptr && search_->busy.test_and_set()) {
      search_ = nullptr;
      PyErr_SetString(PyExc_RuntimeError, "this search runs in another thread");
    }
  }
  ~Held() {
    if (search_ != nullptr) search_->busy.clear();
  }
  Search* operator->() const { return search_; }
  explicit operator bool() const { return search_ != nullptr; }

 private:
  Search* search_;
};

PyObject* search_run(PyObject*, PyObject* args) {
  PyObject* capsule;
  long long steps, bytes;
  double seconds;
  if (!PyArg_ParseTuple(args, "OLdL", &capsule, &steps, &seconds, &bytes)) return nullptr;
  Held one(capsule);
  if (!one) return nullptr;
  if (!one->transitions.asked().empty()) return refuse("the last questions were not answered");
  if (std::isnan(seconds)) return refuse("seconds must be a number");
  i64 left = std::max<i64>(steps, 0);
  const i64 given = left;
  Status status;
  Py_BEGIN_ALLOW_THREADS
  const double bounded = std::min(std::max(seconds, 0.0), 1e6);
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(bounded));
  status = one->run(left, deadline, static_cast<std::size_t>(std::max<long long>(bytes, 0)));
  Py_END_ALLOW_THREADS
  const std::vector<i32>& returns = one->timeline.returns;
  const bool stuck = static_cast<std::size_t>(one->passed) < returns.size();
  const auto& asked = one->transitions.asked();
  return Py_BuildValue("iLiiLy#", static_cast<int>(status), static_cast<long long>(given - left),
                       one->passed, stuck ? returns[one->passed] : -1,
                       static_cast<long long>(one->meter.held),
                       asked.empty() ? "" : reinterpret_cast<const char*>(asked.data()),
                       static_cast<Py_ssize_t>(asked.size() * sizeof(asked[0])));
}

PyObject* search_answer(PyObject*, PyObject* args) {
  PyObject* capsule;
  Buffers in;
  if (!PyArg_ParseTuple(args, "Oy*", &capsule, &in.views[0])) return nullptr;
  Held one(capsule);
  if (!one) return nullptr;
  const Py_buffer& next = in.views[0];
  if (next.len % 4 != 0 || !aligned(next.buf, alignof(i32)) ||
      !one->transitions.answer(static_cast<const i32*>(next.buf),
                               static_cast<std::size_t>(next.len / 4))) {
    return refuse("these answers do not fit what was asked");
  }
  Py_RETURN_NONE;
}

}  // namespace

PyMethodDef search_methods[] = {
    {"search_new", search_new, METH_VARARGS, "Begin a search for a legal order."},
    {"search_run", search_run, METH_VARARGS, "Go on with a search."},
    {"search_answer", search_answer, METH_VARARGS, "Tell a search what the model said."},
    {nullptr, nullptr, 0, nullptr}};
