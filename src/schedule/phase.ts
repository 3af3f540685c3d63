/**
 * Learns when scrapers come to one view. A scraper is a train: arrivals at one period and one phase. Times are passed in,
 * as milliseconds: `now` is CLOCK_MONOTONIC, `wall` the wall clock, which only serves to recognise a train that was away.
 */

/** Trains known at once per view. */
export const TRAINS = 8;
/** What `arrive` answers for a request that no known train explains. */
export const STRANGER = -1;

const SHORTEST_MS = 999;
const LONGEST_MS = 300_000;
/** Regular visitors faster than a train are followed too, only to keep them from hiding trains. */
const SHORTEST_POLL_MS = 40;
const LONGEST_POLL_MS = (SHORTEST_MS + 1000) / 2;
const POLLERS = 4;
const POLL_SKIPS = 8;
/** Consecutive sub-second gaps of about equal length after which a visitor counts as a poller. */
const POLL_GAPS = 6;

const PHASES = 9;
/** A train that comes this many times off its time, but alike, has moved. Early ones count sooner: they find an old page. */
const MOVED_EARLY = 3;
const MOVED_LATE = 5;
const MISSES = 3;
const REMEMBERED = 16;
const REMEMBERED_PERIODS = 10;

const STRANGERS = 64;
const ARRIVALS = 4;
const ARRIVALS_IN_A_CROWD = 12;
/** Chance, per arrival, at which unrelated visitors may pass for a train; such a train is gone again after three misses. */
const CHANCE = 2.5e-6;

/** Strangers are looked at one by one up to this rate; above it they are a flood and only counted. */
const FLOOD_PER_SECOND = 10;
const BURST = 16;

const RATE_MS = 2000;

const UNEXPLAINED = -2;
const LOOSE = 1e6;

const FREE = 0;
const AWAITED = 1;
const DOUBTFUL = 2;
const ARRIVED = 3;

/** A train that can be recognised after an absence; plain data, to be carried over a reload. */
export interface RememberedTrain {
  readonly periodMs: number;
  /** Wall-clock time of one of its arrivals, the last known. */
  readonly wallMs: number;
}

/** How far from its time an arrival is taken for the train's even when the train has come already. */
function nearWindow(period: number): number {
  return Math.min(60, Math.max(25, period * 2e-4));
}

/** How early an arrival may be that is still awaited. */
function earlyWindow(period: number): number {
  return Math.min(60, period * 0.05);
}

/** How late an arrival that is still awaited may be: a busy machine delays scrapers by up to 160 ms. */
function lateWindow(period: number): number {
  return Math.min(250, period * 0.25);
}

/** Within this an arrival counts for the phase; one farther off counts as having come, and no more. */
function steadyWindow(period: number): number {
  return Math.max(10, period * 5e-5);
}

/** How far from equal the spacing of four arrivals may be to be considered at all. */
function learnWindow(period: number): number {
  return period < 1000 ? Math.max(5, period * 0.02) : Math.min(60, period * 0.02);
}

function earliest(period: number): number {
  return Math.max(nearWindow(period), earlyWindow(period));
}

/** Sorts the first `count` numbers; for the few dozen there are, cheaper than a subarray and its sort. */
function sortFirst(values: Float64Array, count: number): void {
  for (let i = 1; i < count; i++) {
    const value = values[i] as number;
    let at = i - 1;
    while (at >= 0 && (values[at] as number) > value) {
      values[at + 1] = values[at] as number;
      at -= 1;
    }
    values[at + 1] = value;
  }
}

/** The trains of one view. State is of fixed size; nothing is allocated after construction but by `remembered()`. */
export class TrainYard {
  /** Grows whenever a train is locked or dropped. */
  version = 0;

  readonly #state = new Uint8Array(TRAINS);
  readonly #serial = new Float64Array(TRAINS);
  readonly #period = new Float64Array(TRAINS);
  /** Time of tick 0: the median of the recent arrivals, each set back by its ticks. */
  readonly #phase = new Float64Array(TRAINS);
  readonly #tick = new Float64Array(TRAINS);
  /** When the current tick was expected; later arrivals do not move it. */
  readonly #due = new Float64Array(TRAINS);
  readonly #misses = new Float64Array(TRAINS);
  readonly #wallOffset = new Float64Array(TRAINS);
  readonly #lastTick = new Float64Array(TRAINS);
  /** The arrival nearest to the prediction in the current tick. */
  readonly #came = new Float64Array(TRAINS);
  /** 1 once the train came as predicted: only then is it worth remembering. */
  readonly #known = new Uint8Array(TRAINS);
  readonly #offRun = new Uint8Array(TRAINS);
  readonly #offLast = new Float64Array(TRAINS);
  readonly #arrivals = new Float64Array(TRAINS * PHASES);
  readonly #ticks = new Float64Array(TRAINS * PHASES);
  readonly #filled = new Uint8Array(TRAINS);
  readonly #head = new Uint8Array(TRAINS);
  #locked = 0;
  #serials = 0;
  /** Before this time no train's window opens or closes. */
  #quietUntil = Number.POSITIVE_INFINITY;

  readonly #pollLast = new Float64Array(POLLERS).fill(Number.NEGATIVE_INFINITY);
  readonly #pollGap = new Float64Array(POLLERS);
  readonly #pollSpread = new Float64Array(POLLERS);
  #gapMean = 0;
  #gapRun = 0;

  readonly #strangers = new Float64Array(STRANGERS);
  #strangerHead = 0;
  #strangerCount = 0;
  readonly #found = new Float64Array(ARRIVALS_IN_A_CROWD);
  readonly #scratch = new Float64Array((PHASES * (PHASES - 1)) / 2);

  readonly #memoryPeriod = new Float64Array(REMEMBERED);
  readonly #memoryWall = new Float64Array(REMEMBERED);
  #memoryNext = 0;

  #last = Number.NEGATIVE_INFINITY;
  #rate = 0;
  #allowance = BURST;
  #flooded = false;

  /** How many trains are locked. */
  get locked(): number {
    return this.#locked;
  }

  /** True while visitors come too fast to be looked at one by one. */
  get flooded(): boolean {
    return this.#flooded;
  }

  /** Arrivals kept because nothing explains them yet, at most 64. */
  get strangers(): number {
    return this.#strangerCount;
  }

  isLocked(train: number): boolean {
    return this.#state[train] !== FREE;
  }

  /** Differs between two trains that occupied the same place one after the other. */
  serial(train: number): number {
    return this.#serial[train] as number;
  }

  /** Milliseconds. */
  period(train: number): number {
    return this.#period[train] as number;
  }

  /** When the tick that the train last came for, or is awaited at, was predicted. */
  expected(train: number): number {
    return this.#due[train] as number;
  }

  /**
   * One request. Gives the number of the train it belongs to, or STRANGER: unknown, or not to be told from a crowd.
   * The request that locks a train is still a stranger's: nothing was prepared for it.
   */
  arrive(now: number, wall: number): number {
    const gap = now > this.#last ? now - this.#last : 0;
    this.#last = now;
    this.#count(gap);
    if (now >= this.#quietUntil) {
      this.advance(now);
      const train = this.#match(now, wall);
      if (train !== UNEXPLAINED) return train;
    }
    if (this.#flooded) {
      this.#spend();
      return STRANGER;
    }
    return this.#stranger(now, wall);
  }

  /**
   * Closes the ticks whose time is over; a train that stayed away three times is dropped. One call counts one miss at most,
   * since after a pause of this process it cannot be known who came meanwhile.
   */
  advance(now: number): void {
    let quietUntil = Number.POSITIVE_INFINITY;
    for (let train = 0; train < TRAINS; train++) {
      if (this.#state[train] === FREE) continue;
      const period = this.#period[train] as number;
      if (now > (this.#due[train] as number) + lateWindow(period)) this.#closeTick(train, now);
      // A tick that was served is over, and so is the one after it.
      if (this.#state[train] === AWAITED && now > (this.#due[train] as number) + lateWindow(period)) this.#closeTick(train, now);
      if (this.#state[train] !== FREE) quietUntil = Math.min(quietUntil, (this.#due[train] as number) - earliest(period));
    }
    this.#quietUntil = quietUntil;
  }

  /**
   * Writes into `out[train]` the first predicted arrival later than `after`, NaN where there is no train. A tick that was
   * served is not predicted again. Gives the number of locked trains.
   */
  predict(after: number, out: Float64Array): number {
    for (let train = 0; train < TRAINS; train++) {
      if (this.#state[train] === FREE) {
        out[train] = Number.NaN;
        continue;
      }
      const period = this.#period[train] as number;
      const phase = this.#phase[train] as number;
      const pending = (this.#tick[train] as number) + (this.#state[train] === AWAITED ? 0 : 1);
      out[train] = phase + period * Math.max(pending, Math.floor((after - phase) / period) + 1);
    }
    return this.#locked;
  }

  /** Locked and remembered trains, for `restore` of another yard. */
  remembered(): RememberedTrain[] {
    const trains: RememberedTrain[] = [];
    for (let train = 0; train < TRAINS; train++) {
      if (this.#state[train] !== FREE) trains.push({ periodMs: this.#period[train] as number, wallMs: this.#wallOf(train) });
    }
    for (let i = 0; i < REMEMBERED; i++) {
      const periodMs = this.#memoryPeriod[i] as number;
      if (periodMs > 0) trains.push({ periodMs, wallMs: this.#memoryWall[i] as number });
    }
    return trains.slice(0, REMEMBERED);
  }

  /** Each train given is locked at its next arrival, if that comes within the time a train is remembered. */
  restore(trains: readonly RememberedTrain[]): void {
    for (const train of trains) {
      if (train.periodMs >= SHORTEST_MS && train.periodMs <= LONGEST_MS * 1.01) this.#remember(train.periodMs, train.wallMs);
    }
  }

  #count(gap: number): void {
    this.#rate = gap > 2 * RATE_MS ? 1 / gap : Math.min(1, (this.#rate + 1 / RATE_MS) / (1 + gap / RATE_MS));
    this.#allowance = Math.min(BURST, this.#allowance + gap * (FLOOD_PER_SECOND / 1000));
    if (this.#flooded && this.#allowance >= BURST / 2) this.#flooded = false;
  }

  #spend(): void {
    this.#allowance = Math.max(-BURST, this.#allowance - 1);
    if (this.#allowance >= 0 || this.#flooded) return;
    this.#flooded = true;
    // The first of the flood came in one by one: they must not push out what was waiting for its fourth arrival.
    this.#gapRun = 0;
    while (this.#strangerCount > 0 && this.#strangerAt(0) > this.#last - 1500) this.#dropNewest(1);
  }

  /**
   * The train a request belongs to, STRANGER when that is uncertain. Among requests in one window the one nearest to the
   * prediction stands for the train, so that a flood leaves the phase where it is.
   */
  #match(now: number, wall: number): number {
    let best = STRANGER;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let train = 0; train < TRAINS; train++) {
      const state = this.#state[train];
      if (state === FREE) continue;
      const period = this.#period[train] as number;
      const off = now - (this.#due[train] as number);
      const rank = this.#rank(off, period, state === AWAITED);
      if (rank < bestRank) {
        best = train;
        bestRank = rank;
      }
    }
    if (best === STRANGER) return UNEXPLAINED;
    if (bestRank >= LOOSE && this.#isPoll(now)) return STRANGER;
    return this.#admit(best, now, wall) ? best : STRANGER;
  }

  /** Awaited and on time; then on time but come already (a second scraper of the same phase); then awaited and off its time. */
  #rank(off: number, period: number, awaited: boolean): number {
    const distance = Math.abs(off);
    if (distance <= nearWindow(period)) return awaited ? distance : distance + 1e3;
    if (!awaited || off < -earlyWindow(period) || off > lateWindow(period)) return Number.POSITIVE_INFINITY;
    return distance + LOOSE;
  }

  #admit(train: number, now: number, wall: number): boolean {
    const due = this.#due[train] as number;
    const distance = Math.abs(now - due);
    const sure = this.#rate * 2 * Math.max(1, distance) < 0.25;
    if (this.#state[train] === AWAITED || distance < Math.abs((this.#came[train] as number) - due)) this.#came[train] = now;
    if (this.#state[train] !== ARRIVED) this.#state[train] = sure ? ARRIVED : DOUBTFUL;
    this.#wallOffset[train] = wall - now;
    this.#lastTick[train] = this.#tick[train] as number;
    return sure;
  }

  #push(train: number, at: number, tick: number): void {
    const head = this.#head[train] as number;
    this.#arrivals[train * PHASES + head] = at;
    this.#ticks[train * PHASES + head] = tick;
    this.#head[train] = (head + 1) % PHASES;
    this.#filled[train] = Math.min(PHASES, (this.#filled[train] as number) + 1);
  }

  #closeTick(train: number, now: number): void {
    const state = this.#state[train];
    if (state === ARRIVED) this.#misses[train] = 0;
    if (state === ARRIVED && (this.#tick[train] as number) > 0) this.#known[train] = 1;
    else if (!this.#flooded) this.#misses[train] = (this.#misses[train] as number) + (state === DOUBTFUL ? 0.2 : 1);
    if ((this.#misses[train] as number) > MISSES - 0.05) {
      this.#drop(train);
      return;
    }
    // The arrivals that locked the train, tick 0 the last of them, are entered already.
    if (state !== AWAITED && (this.#tick[train] as number) > 0) this.#enter(train);
    const period = this.#period[train] as number;
    const phase = this.#phase[train] as number;
    const next = (this.#tick[train] as number) + 1;
    this.#tick[train] = state === AWAITED ? Math.max(next, Math.ceil((now - lateWindow(period) - phase) / period)) : next;
    this.#due[train] = phase + (this.#tick[train] as number) * period;
    this.#state[train] = AWAITED;
  }

  /** Takes the arrival of the tick that ends into the phase, if it came at about its time. */
  #enter(train: number): void {
    const came = this.#came[train] as number;
    const off = came - (this.#due[train] as number);
    if (Math.abs(off) > steadyWindow(this.#period[train] as number)) {
      const alike = (this.#offRun[train] as number) > 0 && Math.abs(off - (this.#offLast[train] as number)) <= 10;
      this.#offRun[train] = alike ? (this.#offRun[train] as number) + 1 : 1;
      this.#offLast[train] = off;
      if ((this.#offRun[train] as number) < (off < 0 ? MOVED_EARLY : MOVED_LATE)) return;
      this.#filled[train] = 0;
      this.#head[train] = 0;
    }
    this.#offRun[train] = 0;
    this.#push(train, came, this.#tick[train] as number);
    this.#settlePeriod(train);
    this.#settlePhase(train);
  }

  #settlePhase(train: number): void {
    const filled = this.#filled[train] as number;
    const period = this.#period[train] as number;
    for (let i = 0; i < filled; i++) {
      this.#scratch[i] = (this.#arrivals[train * PHASES + i] as number) - (this.#ticks[train * PHASES + i] as number) * period;
    }
    sortFirst(this.#scratch, filled);
    this.#phase[train] = this.#scratch[(filled - 1) >> 1] as number;
  }

  /** Follows the scraper's clock: a tenth of the way to the median of all pairwise slopes (Theil and Sen) per arrival. */
  #settlePeriod(train: number): void {
    const filled = this.#filled[train] as number;
    if (filled < 5) return;
    const base = train * PHASES;
    let pairs = 0;
    for (let i = 1; i < filled; i++) {
      for (let j = 0; j < i; j++) {
        const rise = (this.#arrivals[base + i] as number) - (this.#arrivals[base + j] as number);
        const run = (this.#ticks[base + i] as number) - (this.#ticks[base + j] as number);
        this.#scratch[pairs] = rise / run;
        pairs += 1;
      }
    }
    sortFirst(this.#scratch, pairs);
    const period = this.#period[train] as number;
    const step = ((this.#scratch[pairs >> 1] as number) - period) * 0.1;
    const most = Math.max(0.05, period * 2e-5);
    this.#period[train] = period + Math.min(most, Math.max(-most, step));
  }

  #wallOf(train: number): number {
    return (this.#phase[train] as number) + (this.#lastTick[train] as number) * (this.#period[train] as number) + (this.#wallOffset[train] as number);
  }

  #drop(train: number): void {
    if (this.#known[train] === 1) this.#remember(this.#period[train] as number, this.#wallOf(train));
    this.#state[train] = FREE;
    this.#locked -= 1;
    this.version += 1;
  }

  #remember(period: number, wall: number): void {
    let place = this.#memoryNext;
    for (let i = 0; i < REMEMBERED; i++) {
      if (this.#memoryPeriod[i] === 0) place = i;
    }
    if (place === this.#memoryNext) this.#memoryNext = (place + 1) % REMEMBERED;
    this.#memoryPeriod[place] = period;
    this.#memoryWall[place] = wall;
  }

  #stranger(now: number, wall: number): number {
    if (this.#isPoll(now)) return STRANGER;
    this.#spend();
    if (this.#flooded || this.#locked === TRAINS) return STRANGER;
    if (this.#recall(now, wall)) return STRANGER;
    if (this.#noticePoller(now)) return STRANGER;
    if (this.#learn(now, wall)) this.#gapRun = 0;
    else this.#keep(now);
    return STRANGER;
  }

  /** Locks a remembered train that comes back at its phase; on probation, since any visitor may come at that moment. */
  #recall(now: number, wall: number): boolean {
    let best = -1;
    let bestOff = Number.POSITIVE_INFINITY;
    for (let i = 0; i < REMEMBERED; i++) {
      const period = this.#memoryPeriod[i] as number;
      if (period === 0) continue;
      const away = wall - (this.#memoryWall[i] as number);
      const ticks = Math.round(away / period);
      if (ticks > MISSES + REMEMBERED_PERIODS) {
        this.#memoryPeriod[i] = 0;
        continue;
      }
      const off = away - ticks * period;
      if (ticks < 1 || off < -nearWindow(period) || off > 2 * nearWindow(period)) continue;
      if (Math.abs(off) < Math.abs(bestOff)) {
        best = i;
        bestOff = off;
      }
    }
    if (best < 0) return false;
    const period = this.#memoryPeriod[best] as number;
    this.#memoryPeriod[best] = 0;
    this.#found[0] = bestOff > 8 ? now - bestOff : now;
    this.#lock(period, 1, now, wall, true);
    return true;
  }

  #isPoll(now: number): boolean {
    for (let i = 0; i < POLLERS; i++) {
      const since = now - (this.#pollLast[i] as number);
      const gap = this.#pollGap[i] as number;
      if (since > gap * (POLL_SKIPS + 0.5)) continue;
      const steps = Math.round(since / gap);
      if (steps < 1) continue;
      const off = Math.abs(since - steps * gap);
      const spread = this.#pollSpread[i] as number;
      // A loop that was late once stays late, so after a gap without it the window is wider.
      if (off > Math.min(gap * 0.2, Math.max(6, spread * 4) * steps)) continue;
      this.#pollLast[i] = now;
      this.#pollGap[i] = gap + (since / steps - gap) / 8;
      this.#pollSpread[i] = spread + (off - spread) / 8;
      // Taken for one when its first visits were late, but it keeps whole seconds: a train, to be learned with its next visits.
      if ((this.#pollGap[i] as number) > LONGEST_POLL_MS) this.#pollLast[i] = Number.NEGATIVE_INFINITY;
      return true;
    }
    return false;
  }

  /** A sloppy poller's strays are a few of its gaps apart: no train of up to four gaps is learned while it comes. */
  #isEcho(now: number, spacing: number): boolean {
    for (let i = 0; i < POLLERS; i++) {
      const gap = this.#pollGap[i] as number;
      const steps = Math.round(spacing / gap);
      if (now - (this.#pollLast[i] as number) > gap * (POLL_SKIPS + 0.5) || steps < 1 || steps > 4) continue;
      if (Math.abs(spacing - steps * gap) <= 4 * (this.#pollSpread[i] as number)) return true;
    }
    return false;
  }

  #follow(now: number, gap: number, spread: number): void {
    let oldest = 0;
    for (let i = 1; i < POLLERS; i++) {
      if ((this.#pollLast[i] as number) < (this.#pollLast[oldest] as number)) oldest = i;
    }
    this.#pollLast[oldest] = now;
    this.#pollGap[oldest] = gap;
    this.#pollSpread[oldest] = spread;
  }

  /** A loop around `sleep` keeps no phase, but its gaps are alike. */
  #noticePoller(now: number): boolean {
    const gap = this.#strangerCount > 0 ? now - this.#strangerAt(0) : Number.POSITIVE_INFINITY;
    if (gap >= SHORTEST_MS * 1.15 || gap < SHORTEST_POLL_MS) {
      this.#gapRun = 0;
      return false;
    }
    if (this.#gapRun > 0 && Math.abs(gap - this.#gapMean) <= this.#gapMean * 0.15) {
      this.#gapRun += 1;
      this.#gapMean += (gap - this.#gapMean) / this.#gapRun;
    } else {
      this.#gapRun = 1;
      this.#gapMean = gap;
    }
    if (this.#gapRun < POLL_GAPS || this.#gapMean >= SHORTEST_MS * 0.996) return false;
    this.#follow(now, this.#gapMean, this.#gapMean * 0.05);
    this.#dropNewest(this.#gapRun);
    this.#gapRun = 0;
    return true;
  }

  /** @param back 0 is the newest */
  #strangerAt(back: number): number {
    return this.#strangers[(this.#strangerHead - 1 - back) & (STRANGERS - 1)] as number;
  }

  #keep(now: number): void {
    this.#strangers[this.#strangerHead & (STRANGERS - 1)] = now;
    this.#strangerHead += 1;
    if (this.#strangerCount < STRANGERS) this.#strangerCount += 1;
  }

  #dropNewest(count: number): void {
    const dropped = Math.min(count, this.#strangerCount);
    this.#strangerCount -= dropped;
    this.#strangerHead -= dropped;
  }

  /** The kept arrival nearest to a time, counted back from the newest. At least one is kept. */
  #nearest(time: number): number {
    let low = 0;
    let high = this.#strangerCount - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#strangerAt(middle) <= time) high = middle;
      else low = middle + 1;
    }
    return low > 0 && this.#strangerAt(low - 1) - time < Math.abs(time - this.#strangerAt(low)) ? low - 1 : low;
  }

  /** Shortest period first, so that a train of 5 s is never taken for one of 10 s. */
  #learn(now: number, wall: number): boolean {
    for (let i = 0; i < this.#strangerCount; i++) {
      const spacing = now - this.#strangerAt(i);
      if (spacing < SHORTEST_POLL_MS) continue;
      if (spacing > LONGEST_MS * 1.001 || spacing * 2.9 > now - this.#strangerAt(this.#strangerCount - 1)) return false;
      if (this.#isEcho(now, spacing)) continue;
      const length = this.#follows(now, i);
      if (length === 0) continue;
      this.#settle(now, wall, length);
      return true;
    }
    return false;
  }

  /**
   * Whether equally spaced arrivals lead back from now over the i-th kept one. Four will do unless so many others came that
   * four would be found by chance; then more are asked for. Leaves the times in `#found`, newest first; gives their number.
   */
  #follows(now: number, i: number): number {
    const found = this.#found;
    found[0] = now;
    found[1] = this.#strangerAt(i);
    let period = now - (found[1] as number);
    const window = learnWindow(period);
    for (let length = 2; length < ARRIVALS_IN_A_CROWD; length++) {
      const target = now - length * period;
      const nearest = this.#nearest(target);
      const at = this.#strangerAt(nearest);
      if (Math.abs(at - target) > window) return 0;
      found[length] = at;
      period = (now - at) / length;
      if (length + 1 >= ARRIVALS && this.#chance(length + 1, period, nearest + 2, i + 1) < CHANCE) return length + 1;
    }
    return 0;
  }

  /** Largest distance of a found arrival from the middle of its equally spaced line, milliseconds. */
  #unevenness(length: number, period: number): number {
    let low = 0;
    let high = 0;
    for (let k = 1; k < length; k++) {
      const off = (this.#found[k] as number) - (this.#found[0] as number) + k * period;
      if (off < low) low = off;
      if (off > high) high = off;
    }
    return (high - low) / 2;
  }

  #chance(length: number, period: number, visitors: number, candidates: number): number {
    const uneven = Math.max(1, this.#unevenness(length, period));
    const rate = (visitors - 2) / (period * (length - 1));
    const likely = Math.abs(period - Math.round(period / 1000) * 1000) <= uneven ? Math.min(1, 0.02 + uneven * 0.002) : 1;
    return candidates * likely * (length - 1) * (2 * rate * uneven) ** (length - 2);
  }

  #settle(now: number, wall: number, length: number): void {
    let period = (now - (this.#found[length - 1] as number)) / (length - 1);
    // A first visit that was late makes the rest look like those of a faster one.
    if (period < SHORTEST_MS) period = this.#middleGap(length);
    const uneven = this.#unevenness(length, period);
    const whole = Math.round(period / 1000) * 1000;
    if (whole > 0 && Math.abs(period - whole) <= Math.max(1.5, uneven * 0.67)) period = whole;
    this.#forgetStrangers(now, period);
    if (period < SHORTEST_MS) this.#follow(now, period, Math.max(2, uneven));
    else this.#lock(period, length, now, wall, false);
  }

  /** The median of the gaps between the found arrivals, of two in the middle the shorter. */
  #middleGap(length: number): number {
    for (let k = 1; k < length; k++) this.#scratch[k - 1] = (this.#found[k - 1] as number) - (this.#found[k] as number);
    sortFirst(this.#scratch, length - 1);
    return this.#scratch[(length - 2) >> 1] as number;
  }

  /** Takes out the arrivals that the new train explains. */
  #forgetStrangers(now: number, period: number): void {
    const near = Math.min(nearWindow(period), period * 0.1);
    const count = this.#strangerCount;
    const first = this.#strangerHead - count;
    let kept = 0;
    for (let k = 0; k < count; k++) {
      const at = this.#strangers[(first + k) & (STRANGERS - 1)] as number;
      const off = now - at;
      if (Math.abs(off - Math.round(off / period) * period) <= near) continue;
      this.#strangers[(first + kept) & (STRANGERS - 1)] = at;
      kept += 1;
    }
    this.#strangerHead = first + kept;
    this.#strangerCount = kept;
  }

  #lock(period: number, length: number, now: number, wall: number, recalled: boolean): void {
    const train = this.#state.indexOf(FREE);
    this.#serials += 1;
    this.#serial[train] = this.#serials;
    this.#period[train] = period;
    this.#filled[train] = 0;
    this.#head[train] = 0;
    for (let k = Math.min(length, PHASES) - 1; k >= 0; k--) this.#push(train, this.#found[k] as number, -k);
    this.#settlePhase(train);
    this.#tick[train] = 0;
    this.#lastTick[train] = 0;
    this.#due[train] = this.#phase[train] as number;
    this.#wallOffset[train] = wall - now;
    this.#came[train] = this.#due[train] as number;
    this.#offRun[train] = 0;
    this.#known[train] = recalled ? 1 : 0;
    this.#misses[train] = recalled ? MISSES - 1 : 0;
    // The arrival that recalls a train may be anybody's: unless the next one comes, the train is dropped again.
    this.#state[train] = recalled ? DOUBTFUL : ARRIVED;
    this.#locked += 1;
    this.version += 1;
    this.#quietUntil = Number.NEGATIVE_INFINITY;
  }
}
