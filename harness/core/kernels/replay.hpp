// Transactions done one after another, part by part: see checkers/transactions/polygraph_replay.py.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace replay {

using i32 = std::int32_t;
using i64 = std::int64_t;

// Events are vertices 0 .. events - 1; the others are auxiliary, done as soon as they may be.
struct Input {
  i32 vertices, events;
  bool snapshot;
  const i32 *source, *target;
  std::size_t edges;
  const i32 *priority, *part;  // of each transaction; parts are numbered in their order
  const i32 *reader, *writer, *key;  // reads; the writer is -1 for the initial state
  std::size_t reads;
  const i32 *author, *written;  // writes
  std::size_t writes;
  i32 keys, transactions;
};

class Replay {
 public:
  explicit Replay(const Input& input) : in(input) { begin(); }

  // Steps for each event of a part, beyond which it is given up.
  void run(i64 steps_each);

  std::vector<i32> place;   // of each event; those of parts that were given up mean nothing
  std::vector<i32> failed;  // parts that were given up

 private:
  static constexpr std::size_t SMALL = 2048;  // events of parts in which choices are taken back

  struct Change {
    i32* where;
    i32 old;
  };

  const Input& in;
  std::vector<std::size_t> first, read_first, write_first;
  std::vector<i32> targets, read_rows, write_rows;
  std::vector<i32> missing, done, pending, held;
  std::vector<i32> readers, outside;  // of each write: who read it, and who of these outside
  std::vector<Change> trail;
  std::vector<i32> freed;  // events that came to be ready
  i32 placed = 0;

  i32 vertex(i32 event) const { return in.snapshot ? event / 2 : event; }
  bool starts(i32 event) const { return !in.snapshot || event % 2 == 0; }
  bool commits(i32 event) const { return !in.snapshot || event % 2 == 1; }

  void begin();
  static void rows(const i32* column, std::size_t count, i32 n, std::vector<std::size_t>& first,
                   std::vector<i32>& rows);
  void set(i32& where, i32 value) {
    trail.push_back({&where, where});
    where = value;
  }
  void undo(std::size_t mark) {
    while (trail.size() > mark) {
      *trail.back().where = trail.back().old;
      trail.pop_back();
    }
  }
  bool blocked(i32 event) const;
  bool harmless(i32 event) const;
  void release(i32 event);
  void act(i32 event);
  bool greedy(const std::vector<i32>& members, i64 steps);
  bool search(const std::vector<i32>& members, i64 steps);
  void give_up(const std::vector<i32>& members);
};

inline void Replay::rows(const i32* column, std::size_t count, i32 n,
                         std::vector<std::size_t>& first, std::vector<i32>& rows) {
  first.assign(static_cast<std::size_t>(n) + 1, 0);
  for (std::size_t i = 0; i < count; ++i) ++first[static_cast<std::size_t>(column[i]) + 1];
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) first[i + 1] += first[i];
  rows.resize(count);
  std::vector<std::size_t> at(first.begin(), first.end() - 1);
  for (std::size_t i = 0; i < count; ++i) {
    rows[at[static_cast<std::size_t>(column[i])]++] = static_cast<i32>(i);
  }
}

inline void Replay::begin() {
  rows(in.source, in.edges, in.vertices, first, targets);
  missing.assign(static_cast<std::size_t>(in.vertices), 0);
  for (i32& slot : targets) {
    slot = in.target[slot];
    ++missing[static_cast<std::size_t>(slot)];
  }
  rows(in.reader, in.reads, in.transactions, read_first, read_rows);
  rows(in.author, in.writes, in.transactions, write_first, write_rows);
  done.assign(static_cast<std::size_t>(in.events), 0);
  pending.assign(static_cast<std::size_t>(in.keys), 0);
  held.assign(static_cast<std::size_t>(in.keys), 0);
  readers.assign(in.writes, 0);
  outside.assign(in.writes, 0);
  for (std::size_t i = 0; i < in.reads; ++i) {
    const i32 writer = in.writer[i];
    if (writer < 0) {
      ++pending[static_cast<std::size_t>(in.key[i])];
      continue;
    }
    for (std::size_t at = write_first[static_cast<std::size_t>(writer)];
         at < write_first[static_cast<std::size_t>(writer) + 1]; ++at) {
      const std::size_t row = static_cast<std::size_t>(write_rows[at]);
      if (in.written[row] != in.key[i]) continue;
      ++readers[row];
      if (in.part[in.reader[i]] != in.part[writer]) ++outside[row];
    }
  }
  place.assign(static_cast<std::size_t>(in.events), -1);
}

// Whether it would overwrite what somebody must still read, or come between a start and a commit.
inline bool Replay::blocked(i32 event) const {
  const std::size_t one = static_cast<std::size_t>(vertex(event));
  for (std::size_t at = write_first[one]; at < write_first[one + 1]; ++at) {
    const i32 key = in.written[write_rows[at]];
    if (in.snapshot && event % 2 == 0) {
      if (held[static_cast<std::size_t>(key)] != 0) return true;
      continue;
    }
    i32 mine = 0;
    if (!in.snapshot) {
      for (std::size_t r = read_first[one]; r < read_first[one + 1]; ++r) {
        if (in.key[read_rows[r]] == key) ++mine;
      }
    }
    if (pending[static_cast<std::size_t>(key)] > mine) return true;
  }
  return false;
}

// Done as soon as it may be: it changes nothing that others wait for.
inline bool Replay::harmless(i32 event) const {
  const std::size_t one = static_cast<std::size_t>(vertex(event));
  return write_first[one] == write_first[one + 1];
}

inline void Replay::release(i32 event) {
  std::vector<i32> stack{event};
  while (!stack.empty()) {
    const std::size_t from = static_cast<std::size_t>(stack.back());
    stack.pop_back();
    for (std::size_t at = first[from]; at < first[from + 1]; ++at) {
      const i32 target = targets[at];
      i32& left = missing[static_cast<std::size_t>(target)];
      set(left, left - 1);
      if (left != 0) continue;
      if (target >= in.events) {
        stack.push_back(target);
      } else {
        freed.push_back(target);
      }
    }
  }
}

inline void Replay::act(i32 event) {
  const std::size_t one = static_cast<std::size_t>(vertex(event));
  set(done[static_cast<std::size_t>(event)], 1);
  place[static_cast<std::size_t>(event)] = placed++;
  if (starts(event)) {
    for (std::size_t at = read_first[one]; at < read_first[one + 1]; ++at) {
      i32& left = pending[static_cast<std::size_t>(in.key[read_rows[at]])];
      set(left, left - 1);
    }
  }
  for (std::size_t at = write_first[one]; at < write_first[one + 1]; ++at) {
    const i32 row = write_rows[at];
    const std::size_t key = static_cast<std::size_t>(in.written[row]);
    if (in.snapshot) set(held[key], starts(event) ? 1 : 0);
    if (commits(event)) set(pending[key], readers[static_cast<std::size_t>(row)]);
  }
  release(event);
}

// Without taking anything back, the smallest priority first.
inline bool Replay::greedy(const std::vector<i32>& members, i64 steps) {
  const i32 part = in.part[vertex(members.front())];
  std::set<std::pair<i32, i32>> ready;
  const auto add = [&](i32 event) {
    if (in.part[vertex(event)] == part) ready.insert({in.priority[vertex(event)], event});
  };
  for (const i32 event : members) {
    if (missing[static_cast<std::size_t>(event)] == 0) add(event);
  }
  std::size_t left = members.size();
  while (left > 0) {
    auto chosen = ready.begin();
    while (chosen != ready.end() && blocked(chosen->second)) {
      if (--steps < 0) return false;
      ++chosen;
    }
    if (chosen == ready.end() || --steps < 0) return false;
    const i32 event = chosen->second;
    ready.erase(chosen);
    freed.clear();
    act(event);
    trail.clear();
    for (const i32 other : freed) add(other);
    --left;
  }
  return true;
}

// Depth first: the last choice is taken back where nothing can follow.
inline bool Replay::search(const std::vector<i32>& members, i64 steps) {
  struct Frame {
    std::size_t mark, chosen;
    i32 placed;
  };
  std::vector<Frame> frames;
  std::size_t left = members.size(), from = 0;
  const auto may = [&](i32 event) {
    return done[static_cast<std::size_t>(event)] == 0 &&
           missing[static_cast<std::size_t>(event)] == 0 && !blocked(event);
  };
  while (left > 0) {
    // What changes nothing that others wait for is done at once; else the next one in order.
    std::size_t chosen = members.size();
    bool only = false;
    for (std::size_t i = 0; i < members.size() && from == 0; ++i) {
      if (harmless(members[i]) && may(members[i])) {
        chosen = i;
        only = true;
        break;
      }
    }
    for (std::size_t i = from; i < members.size() && !only; ++i) {
      if (may(members[i])) {
        chosen = i;
        break;
      }
    }
    if (--steps < 0) return false;
    if (chosen < members.size()) {
      frames.push_back({trail.size(), only ? members.size() : chosen, placed});
      freed.clear();
      act(members[chosen]);
      --left;
      from = 0;
      continue;
    }
    do {
      if (frames.empty()) return false;
      undo(frames.back().mark);
      placed = frames.back().placed;
      from = frames.back().chosen + 1;
      frames.pop_back();
      ++left;
    } while (from > members.size());
  }
  return true;
}

// As if the part had been done in the order that it may have.
inline void Replay::give_up(const std::vector<i32>& members) {
  for (const i32 event : members) {
    if (done[static_cast<std::size_t>(event)] != 0) continue;
    const std::size_t one = static_cast<std::size_t>(vertex(event));
    done[static_cast<std::size_t>(event)] = 1;
    place[static_cast<std::size_t>(event)] = placed++;
    if (starts(event)) {
      for (std::size_t at = read_first[one]; at < read_first[one + 1]; ++at) {
        const i32 row = read_rows[at], writer = in.writer[row];
        if (writer < 0 || in.part[writer] != in.part[one]) {
          --pending[static_cast<std::size_t>(in.key[row])];
        }
      }
    }
    release(event);
  }
  std::vector<i32> keys;
  for (const i32 event : members) {
    if (!commits(event)) continue;
    const std::size_t one = static_cast<std::size_t>(vertex(event));
    for (std::size_t at = write_first[one]; at < write_first[one + 1]; ++at) {
      keys.push_back(in.written[write_rows[at]]);
      pending[static_cast<std::size_t>(keys.back())] = 0;
      held[static_cast<std::size_t>(keys.back())] = 0;
    }
  }
  for (const i32 event : members) {
    if (!commits(event)) continue;
    const std::size_t one = static_cast<std::size_t>(vertex(event));
    for (std::size_t at = write_first[one]; at < write_first[one + 1]; ++at) {
      const i32 row = write_rows[at];
      pending[static_cast<std::size_t>(in.written[row])] += outside[static_cast<std::size_t>(row)];
    }
  }
  trail.clear();
}

inline void Replay::run(i64 steps_each) {
  for (i32 v = in.events; v < in.vertices; ++v) {  // gates that nothing precedes
    if (missing[static_cast<std::size_t>(v)] == 0) {
      missing[static_cast<std::size_t>(v)] = -1;
      release(v);
    }
  }
  std::vector<i32> order(static_cast<std::size_t>(in.events));
  for (i32 event = 0; event < in.events; ++event) order[static_cast<std::size_t>(event)] = event;
  std::sort(order.begin(), order.end(), [this](i32 a, i32 b) {
    const i32 x = vertex(a), y = vertex(b);
    if (in.part[x] != in.part[y]) return in.part[x] < in.part[y];
    if (in.priority[x] != in.priority[y]) return in.priority[x] < in.priority[y];
    return a < b;
  });
  std::vector<i32> members;
  for (std::size_t low = 0, high = 0; low < order.size(); low = high) {
    const i32 part = in.part[vertex(order[low])];
    while (high < order.size() && in.part[vertex(order[high])] == part) ++high;
    members.assign(order.begin() + static_cast<std::ptrdiff_t>(low),
                   order.begin() + static_cast<std::ptrdiff_t>(high));
    const i64 steps = steps_each * static_cast<i64>(members.size());
    trail.clear();
    const i32 before = placed;
    if (members.size() > SMALL) {
      if (greedy(members, steps)) continue;
    } else {
      if (search(members, steps)) continue;
      undo(0);
      placed = before;
    }
    failed.push_back(part);
    if (members.size() == order.size()) return;  // nothing else depends on it
    give_up(members);
  }
}

}  // namespace replay
