// Saturation of a polygraph over vector clocks. What the rules are, and why, is said in
// checkers/transactions/saturation_clocks.py; saturation_clocks_twin.py gives the same answers.
#pragma once
#include "saturation_order.hpp"

#include <climits>

namespace saturation {

constexpr i32 NEVER = INT_MAX;

enum class Status : int { COMPLETE = 0, CYCLIC = 1, INCOMPLETE = 2 };

// The arguments, as columns. Events are vertices 0 .. events - 1; the others are auxiliary.
struct Input {
  i32 vertices, events, chains;
  bool snapshot;
  const i32 *source, *target;  // edges; they lead along each chain, from event to event
  std::size_t edges;
  const i32 *chain, *place;  // of each event
  const i32 *reader, *writer, *key;  // reads, of transactions
  std::size_t reads;
  const i32 *author, *written;  // writes: transaction and key
  std::size_t writes;
  i32 keys;
};

struct Forced {
  i32 source, target, overwrites, reader, writer, other;
};

class Saturation {
 public:
  explicit Saturation(const Input& input) : in(input) {}

  Status run(int rounds_max, std::size_t forced_max);
  // Pairs of transactions that may come in either order; false if there are more than most.
  bool possible(std::size_t most, std::vector<i32>& pairs) const;

  std::vector<Forced> forced;

 private:
  struct Slot {  // a commit of a key
    i32 place, author;
  };
  struct Run {  // the commits of a key on one chain: slots begin .. end - 1, which are in order
    i32 chain, earliest, latest;
    std::size_t begin, end;
  };

  const Input& in;
  Order order;
  Clocks<Latest> before;   // how far along each chain reaches what precedes a vertex
  Clocks<Earliest> after;  // where on each chain begins what it precedes
  std::vector<Slot> slots;
  std::vector<Run> runs;
  std::vector<std::size_t> first;  // run of each key

  i32 start(i32 one) const { return in.snapshot ? 2 * one : one; }
  i32 commit(i32 one) const { return in.snapshot ? 2 * one + 1 : one; }
  void begin();
  void find_runs();
  template <class Visit>
  void each_run(i32 key, Visit visit) const {
    for (std::size_t i = first[at(key)]; i < first[at(key) + 1]; ++i) visit(runs[i]);
  }
  // The first slot of a run whose place is at least this; its end if there is none.
  std::size_t from(const Run& run, i32 place) const;
  void force(const Forced& edge);
  void read(std::size_t number);
  void conflict(std::size_t number);
};

inline void Saturation::begin() {
  order.fill(in.vertices, in.source, in.target, in.edges);
  before.fill(in.vertices, in.chains, -1);
  after.fill(in.vertices, in.chains, NEVER);
  for (i32 event = 0; event < in.events; ++event) {
    before[event][in.chain[event]] = in.place[event];
    after[event][in.chain[event]] = in.place[event];
  }
  find_runs();
}

inline void Saturation::find_runs() {
  const std::size_t keys = at(in.keys);
  std::vector<std::size_t> begins(keys + 1, 0);
  for (std::size_t i = 0; i < in.writes; ++i) ++begins[at(in.written[i]) + 1];
  for (std::size_t key = 0; key < keys; ++key) begins[key + 1] += begins[key];
  slots.resize(in.writes);
  std::vector<std::size_t> next(begins.begin(), begins.end() - 1);
  for (std::size_t i = 0; i < in.writes; ++i) {
    slots[next[at(in.written[i])]++] = {in.place[commit(in.author[i])], in.author[i]};
  }
  const auto chain = [this](const Slot& slot) { return in.chain[commit(slot.author)]; };
  first.assign(keys + 1, 0);
  for (std::size_t key = 0; key < keys; ++key) {
    std::sort(slots.begin() + static_cast<std::ptrdiff_t>(begins[key]),
              slots.begin() + static_cast<std::ptrdiff_t>(begins[key + 1]),
              [&](const Slot& a, const Slot& b) {
                return chain(a) != chain(b) ? chain(a) < chain(b) : a.place < b.place;
              });
    for (std::size_t i = begins[key], end = i; i < begins[key + 1]; i = end) {
      while (end < begins[key + 1] && chain(slots[end]) == chain(slots[i])) ++end;
      runs.push_back({chain(slots[i]), slots[i].place, slots[end - 1].place, i, end});
    }
    first[key + 1] = runs.size();
  }
}

inline std::size_t Saturation::from(const Run& run, i32 place) const {
  if (place <= run.earliest) return run.begin;
  return static_cast<std::size_t>(
      std::partition_point(slots.begin() + static_cast<std::ptrdiff_t>(run.begin),
                           slots.begin() + static_cast<std::ptrdiff_t>(run.end),
                           [place](const Slot& slot) { return slot.place < place; }) -
      slots.begin());
}

inline void Saturation::force(const Forced& edge) {
  forced.push_back(edge);
  order.add(edge.source, edge.target);
  before.moved[at(edge.source)] = 1;
  after.moved[at(edge.target)] = 1;
}

inline void Saturation::read(std::size_t number) {
  const i32 reader = in.reader[number], writer = in.writer[number];
  const i32 reads = start(reader), began = start(writer);
  const i32 *reader_before = before[reads], *reader_after = after[reads];
  const i32 *writer_before = before[began], *writer_after = after[began];
  const auto others = [&](std::size_t slot) {
    return slots[slot].author != reader && slots[slot].author != writer;
  };
  each_run(in.key[number], [&](const Run& run) {
    // The last that precedes the reader precedes the writer, which is not known yet.
    const i32 low = writer_before[run.chain], high = reader_before[run.chain];
    if (run.latest > low && run.earliest <= high) {
      std::size_t slot = from(run, high + 1);
      while (slot > run.begin && slots[slot - 1].place > low && !others(slot - 1)) --slot;
      if (slot > run.begin && slots[slot - 1].place > low) {
        const i32 other = slots[slot - 1].author;
        force({commit(other), began, 0, reader, writer, other});
      }
    }
    // The first that follows the writer follows the reader.
    const i32 since = writer_after[run.chain], until = reader_after[run.chain];
    if (run.latest >= since && run.earliest < until) {
      std::size_t slot = from(run, since);
      while (slot < run.end && slots[slot].place < until && !others(slot)) ++slot;
      if (slot < run.end && slots[slot].place < until) {
        const i32 other = slots[slot].author;
        force({reads, commit(other), 1, reader, writer, other});
      }
    }
  });
}

// Of two that write a key, the one whose start precedes the other's commit commits first.
inline void Saturation::conflict(std::size_t number) {
  const i32 author = in.author[number];
  const i32 *since = after[start(author)], *until = after[commit(author)];
  each_run(in.written[number], [&](const Run& run) {
    if (run.latest < since[run.chain] || run.earliest > until[run.chain]) return;
    std::size_t slot = from(run, since[run.chain]);
    if (slot < run.end && slots[slot].author == author) ++slot;
    // A start lies one place before its commit.
    if (slot < run.end && slots[slot].place <= until[run.chain]) {
      const i32 other = slots[slot].author;
      force({commit(author), start(other), 0, -1, other, author});
    }
  });
}

inline Status Saturation::run(int rounds_max, std::size_t forced_max) {
  begin();
  for (int round = 0;; ++round) {
    if (!order.sort()) return Status::CYCLIC;
    before.spread(order.places.begin(), order.places.end(), order.out);
    after.spread(order.places.rbegin(), order.places.rend(), order.in);
    if (round >= rounds_max || forced.size() > forced_max) return Status::INCOMPLETE;
    const std::size_t known = forced.size();
    for (std::size_t i = 0; i < in.reads; ++i) {
      if (before.changed[at(start(in.reader[i]))] || after.changed[at(start(in.writer[i]))]) read(i);
    }
    if (in.snapshot) {
      for (std::size_t i = 0; i < in.writes; ++i) {
        if (after.changed[at(start(in.author[i]))]) conflict(i);
      }
    }
    if (forced.size() == known) return Status::COMPLETE;
    std::fill(before.changed.begin(), before.changed.end(), 0);
    std::fill(after.changed.begin(), after.changed.end(), 0);
  }
}

inline bool Saturation::possible(std::size_t most, std::vector<i32>& pairs) const {
  const auto add = [&](i32 a, i32 b) {
    pairs.push_back(a);
    pairs.push_back(b);
  };
  bool all = true;
  // Visits those known neither to precede low nor to follow high.
  const auto between = [&](i32 key, i32 low, i32 high, i32 extra, auto visit) {
    each_run(key, [&](const Run& run) {
      const i32 above = before[low][run.chain], below = after[high][run.chain];
      if (run.latest <= above || run.earliest - extra >= below) return;
      for (std::size_t slot = from(run, above + 1); all && slot < run.end; ++slot) {
        if (slots[slot].place - extra >= below) break;
        visit(slots[slot].author);
        all = pairs.size() <= 2 * most;
      }
    });
    return all;
  };
  for (std::size_t i = 0; i < in.reads; ++i) {
    const i32 reader = in.reader[i], writer = in.writer[i];
    if (!between(in.key[i], start(writer), start(reader), 0, [&](i32 other) {
          if (other == reader || other == writer) return;
          add(other, writer);
          add(writer, other);
          add(reader, other);
        })) {
      return false;
    }
  }
  for (std::size_t i = 0; in.snapshot && i < in.writes; ++i) {
    const i32 author = in.author[i];
    if (!between(in.written[i], start(author), commit(author), 1, [&](i32 other) {
          if (other == author) return;
          add(other, author);
          add(author, other);
        })) {
      return false;
    }
  }
  return true;
}

}  // namespace saturation
