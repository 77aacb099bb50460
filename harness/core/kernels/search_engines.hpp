// The two orders in which configurations are searched. Each is exact; neither wins everywhere.
#pragma once
#include <chrono>
#include <memory>

#include "search_steps.hpp"

namespace search {

enum class Status : i32 { LEGAL, ILLEGAL, ASK, STEPS, TIME, MEMORY };

using Clock = std::chrono::steady_clock;

class Engine {
 public:
  virtual ~Engine() = default;
  // Go on for so many steps (and count them down; the last one may cost more than is left).
  virtual Status run(i64& steps, Clock::time_point deadline) = 0;
  // The returns passed on the longest way so far. After ILLEGAL no way passes the next one.
  virtual i32 passed() const = 0;
  virtual Meter& meter() = 0;
};

class Patience {
 public:
  explicit Patience(Clock::time_point deadline) : deadline_(deadline) {}
  bool over() { return (++looks_ & 255) == 0 && Clock::now() >= deadline_; }

 private:
  Clock::time_point deadline_;
  u32 looks_ = 0;
};

// Depth first: finds an order quickly where many will do. No configuration is expanded that another
// one, expanded before, covers.
template <int W>
class DepthFirst : public Engine {
 public:
  DepthFirst(Meter& meter, const Timeline& timeline, Transitions& transitions)
      : meter_(&meter),
        timeline_(timeline),
        steps_(meter_, timeline, transitions, false),
        stack_(meter_),
        visited_(meter_),
        lists_(meter_),
        index_(meter_) {
    stack_.push(Item<W>{{Mask<W>::none(), Mask<W>::none(), 0, 0}, 0, 0});
  }
  Meter& meter() override { return meter_; }
  i32 passed() const override { return furthest_; }

  Status run(i64& steps, Clock::time_point deadline) override {
    Patience patience(deadline);
    while (!stack_.empty()) {
      if (patience.over()) return Status::TIME;
      if (steps <= 0) return Status::STEPS;
      Item<W>& top = stack_.back();
      if (top.place > furthest_) furthest_ = top.place;
      if (top.place == timeline_.goal()) return Status::LEGAL;
      steps_.cursor.move(top.place);
      const View<W>* view = steps_.view(top.at.state, true);
      if (view == nullptr) return Status::ASK;
      steps_.settle(top.at, top.flags, *view);
      const i32 returning = steps_.cursor.order.front();
      if (top.at.done.has(returning)) {
        top.at.done.clear(returning);
        ++top.place;
        top.flags = 0;
        continue;
      }
      if (!steps_.prepare()) return Status::ASK;
      const Item<W> item = top;
      stack_.pop();
      if (!(item.flags & PASSED)) {
        if (seen(item)) continue;
        if (item.at.optional.has(returning) &&
            (!(item.flags & INNER) || view->stays.has(returning))) {
          Item<W> through = item;
          stack_.push(through);
          stack_.back().flags |= PASSED;
          through.at.optional.clear(returning);
          ++through.place;
          through.flags = 0;
          stack_.push(through);
          continue;
        }
      }
      steps -= COST + steps_.comparisons() * COST;
      expand(item);
    }
    return Status::ILLEGAL;
  }

 private:
  // The configurations expanded at one place, in one state, form a list without those that another
  // one covers; committed ones a list of their own, for they can do less than others.
  struct List {
    i32 place, state, committed, first;
  };
  struct Visited {
    Mask<W> done, optional;
    i32 spent, next;
  };

  void expand(const Item<W>& item) {
    for (auto& pile : piles_) pile.clear();
    steps_.expand(item.at, item.flags, [&](const Item<W>& child, i32 merit) {
      piles_[merit].push_back(child);
    });
    for (auto& pile : piles_) {  // the last one pushed is tried first
      for (std::size_t i = pile.size(); i-- > 0;) stack_.push(pile[i]);
    }
  }

  static u64 hash(i32 place, i32 state, i32 committed) {
    const u64 name = (static_cast<u64>(static_cast<u32>(place)) << 32) | static_cast<u32>(state);
    return mixed(name) + static_cast<u64>(committed);
  }
  i64 list(i32 place, i32 state, i32 committed) const {
    return index_.find(hash(place, state, committed), [&](u32 i) {
      const List& one = lists_[i];
      return one.place == place && one.state == state && one.committed == committed;
    });
  }
  // Whether one that was expanded covers it; else it is remembered.
  bool seen(const Item<W>& item) {
    const Configuration<W>& at = item.at;
    const i32 committed = item.flags & COMMITTED;
    if (committed) {
      const i64 free = list(item.place, at.state, 0);
      if (free >= 0 && covered(at, lists_[static_cast<std::size_t>(free)])) return true;
    }
    i64 own = list(item.place, at.state, committed);
    if (own < 0) {
      if (lists_.size() >= INT32_MAX) throw MemorySpent{};
      index_.reserve([&](u32 i) {
        return hash(lists_[i].place, lists_[i].state, lists_[i].committed);
      });
      own = static_cast<i64>(lists_.size());
      lists_.push(List{item.place, at.state, committed, -1});
      index_.insert(hash(item.place, at.state, committed), static_cast<u32>(own));
    }
    List& mine = lists_[static_cast<std::size_t>(own)];
    if (covered(at, mine)) return true;
    drop_covered(at, mine);
    if (free_ < 0) {
      if (visited_.size() >= INT32_MAX) throw MemorySpent{};
      visited_.push(Visited{at.done, at.optional, at.spent, mine.first});
      mine.first = static_cast<i32>(visited_.size() - 1);
    } else {
      const i32 place = free_;
      free_ = visited_[place].next;
      visited_[place] = Visited{at.done, at.optional, at.spent, mine.first};
      mine.first = place;
    }
    return false;
  }
  bool covered(const Configuration<W>& at, List& among) {
    i32 before = -1;
    for (i32 i = among.first; i >= 0; before = i, i = visited_[i].next) {
      Visited& one = visited_[i];
      if (!steps_.covers(one.done, one.optional, one.spent, at.done, at.optional, at.spent)) continue;
      if (before >= 0) {  // what covered once often covers again
        visited_[before].next = one.next;
        one.next = among.first;
        among.first = i;
      }
      return true;
    }
    return false;
  }
  void drop_covered(const Configuration<W>& at, List& among) {
    i32 before = -1;
    for (i32 i = among.first; i >= 0;) {
      Visited& one = visited_[i];
      const i32 next = one.next;
      if (steps_.covers(at.done, at.optional, at.spent, one.done, one.optional, one.spent)) {
        (before < 0 ? among.first : visited_[before].next) = next;
        one.next = free_;
        free_ = i;
      } else {
        before = i;
      }
      i = next;
    }
  }

  static constexpr i64 COST = 4;  // it wanders from place to place, breadth first does not

  Meter meter_;
  const Timeline& timeline_;
  Steps<W> steps_;
  Array<Item<W>> stack_;
  Array<Visited> visited_;
  Array<List> lists_;
  Index index_;
  i32 free_ = -1;  // of visited_
  std::vector<Item<W>> piles_[MERITS];
  i32 furthest_ = 0;
};

// Configurations at one place, without those that another one covers.
template <int W>
class Antichain {
 public:
  Antichain(Meter& meter) : meter_(&meter), bucket_of_(meter), states_(meter) {}

  // Whether one of them covers it.
  bool covers(const Configuration<W>& c, const Steps<W>& steps) {
    if (bucket_of_.size() <= static_cast<std::size_t>(c.state) || bucket_of_[c.state] < 0) {
      return false;
    }
    Array<One>& bucket = buckets_[static_cast<std::size_t>(bucket_of_[c.state])];
    for (std::size_t i = 0; i < bucket.size(); ++i) {
      const One& one = bucket[i];
      if (steps.covers(one.done, one.optional, one.spent, c.done, c.optional, c.spent)) {
        // What covered once often covers again.
        if (i > 0) std::swap(bucket[i], bucket[i / 2]);
        return true;
      }
    }
    return false;
  }
  // False, and nothing changes, if one of them covers it.
  bool add(const Configuration<W>& c, const Steps<W>& steps) {
    if (covers(c, steps)) return false;
    if (bucket_of_.size() <= static_cast<std::size_t>(c.state)) {
      bucket_of_.resize(static_cast<std::size_t>(c.state) + 1, -1);
    }
    if (bucket_of_[c.state] < 0) {
      if (states_.size() == buckets_.size()) buckets_.emplace_back(*meter_);
      states_.push(c.state);
      bucket_of_[c.state] = static_cast<i32>(states_.size() - 1);
    }
    Array<One>& bucket = buckets_[static_cast<std::size_t>(bucket_of_[c.state])];
    for (std::size_t i = 0; i < bucket.size();) {
      const One& one = bucket[i];
      if (steps.covers(c.done, c.optional, c.spent, one.done, one.optional, one.spent)) {
        bucket[i] = bucket.back();
        bucket.pop();
      } else {
        ++i;
      }
    }
    bucket.push(One{c.done, c.optional, c.spent});
    return true;
  }
  // Give each to push, and forget it.
  template <class Push>
  void drain(Push push) {
    for (std::size_t b = 0; b < states_.size(); ++b) {
      for (const One& one : buckets_[b]) {
        push(Configuration<W>{one.done, one.optional, states_[b], one.spent});
      }
    }
    clear();
  }
  void clear() {
    for (std::size_t b = 0; b < states_.size(); ++b) {
      buckets_[b].clear();
      bucket_of_[states_[b]] = -1;
    }
    states_.clear();
  }
  bool empty() const { return states_.empty(); }

 private:
  struct One {
    Mask<W> done, optional;
    i32 spent;
  };
  Meter* meter_;
  Array<i32> bucket_of_;  // [states]: -1: none
  Array<i32> states_;     // [buckets in use]
  std::vector<Array<One>> buckets_;
};

// Breadth first, one level a return: proves quickly that there is no order. What is known of a
// level is all that is kept, so the memory does not grow with the length of the history.
template <int W>
class BreadthFirst : public Engine {
 public:
  BreadthFirst(Meter& meter, const Timeline& timeline, Transitions& transitions, bool relaxed)
      : meter_(&meter),
        timeline_(timeline),
        steps_(meter_, timeline, transitions, relaxed),
        work_(meter_),
        seen_(meter_),
        committed_(meter_),
        passed_(meter_) {
    work_.push(Item<W>{{Mask<W>::none(), Mask<W>::none(), 0, 0}, 0, 0});
  }
  Meter& meter() override { return meter_; }
  i32 passed() const override { return place_; }

  Status run(i64& steps, Clock::time_point deadline) override {
    Patience patience(deadline);
    for (;;) {
      if (place_ == timeline_.goal()) return Status::LEGAL;
      steps_.cursor.move(place_);
      while (!work_.empty()) {
        if (patience.over()) return Status::TIME;
        if (steps <= 0) return Status::STEPS;
        if (!look(steps)) return Status::ASK;
      }
      if (passed_.empty()) return Status::ILLEGAL;
      ++place_;
      seen_.clear();
      committed_.clear();
      passed_.drain([&](const Configuration<W>& c) { work_.push(Item<W>{c, place_, 0}); });
    }
  }

 private:
  // Look at the topmost item. False, and it stays, if the model must be asked first.
  bool look(i64& steps) {
    const View<W>* view = steps_.view(work_.back().at.state, true);
    if (view == nullptr || !steps_.prepare()) return false;
    Item<W> item = work_.back();
    work_.pop();
    steps_.settle(item.at, item.flags, *view);
    const i32 returning = steps_.cursor.order.front();
    if (item.at.done.has(returning)) {
      item.at.done.clear(returning);
      passed_.add(item.at, steps_);
      return true;
    }
    if (item.flags & COMMITTED) {
      if (seen_.covers(item.at, steps_) || !committed_.add(item.at, steps_)) return true;
    } else if (!seen_.add(item.at, steps_)) {
      return true;
    }
    if (item.at.optional.has(returning) &&
        (!(item.flags & INNER) || view->stays.has(returning))) {
      Configuration<W> through = item.at;
      through.optional.clear(returning);
      passed_.add(through, steps_);
    }
    steps -= 1 + steps_.comparisons();
    steps_.expand(item.at, item.flags, [&](const Item<W>& child, i32 merit) {
      if (merit == RETURNS) {
        passed_.add(child.at, steps_);
      } else {
        work_.push(child);
      }
    });
    return true;
  }

  Meter meter_;
  const Timeline& timeline_;
  Steps<W> steps_;
  Array<Item<W>> work_;
  Antichain<W> seen_, committed_, passed_;
  i32 place_ = 0;
};

}  // namespace search
