/*
 * The checked model of MappedLog's protocols, for Spin 6.5. `tools/model` runs all of it.
 *
 * One scenario at a time is chosen with -DSCENARIO_..., so that each search is exhaustive; one known mistake at a
 * time can be put in with -DMISTAKE_..., and then the search must fail. What a scenario covers, and for which
 * sizes its search is complete, stands at its head.
 *
 *   SCENARIO_APPEND    append, batch, in-place append, death at every step, repair; a tailer that reads along
 *   SCENARIO_ROLL      the same over two segments: activation line, `end`, seal line
 *   SCENARIO_POWER     batches, repair and its flush, power cut, recover, recover interrupted
 *   SCENARIO_SYNC      two flushers, a failing disk, `flushing`, poison, the watermark, over a roll
 *   SCENARIO_WAKE      sleeping tailers, the "wake me" flag, the fence, and a writer that dies before it wakes
 *   SCENARIO_OPEN      gate, first writer, half-done recovery, the clean-close note, poison across a restart
 *
 * How it is modelled. A cell is 8 bytes; one load or store of a cell is one step, and a writer may die before
 * each step (STEP). Memory is sequentially consistent, except in SCENARIO_WAKE, where appenders have store
 * buffers: elsewhere a mutex or the release/acquire pair of the word gives the order. A CRC is never right by
 * accident: a frame is valid when its word and all cells of its body bear the same id. The sparse index is left
 * out (a hint, checked against the frame it names), and so are compaction and retention.
 *
 * Sentences that the model showed to be needed are marked NEEDED.
 *
 * Not shown: the copy to lost+found and the order "the word at the cut first", recovery over more than one segment,
 * batches of more than two, a flush that overlaps the power cut, named tailers, System V.
 */

#ifndef DEATHS
#define DEATHS 2
#endif

/* A step of somebody who may be killed: either it is done, or he is dead before it. */
#define STEP(...) if :: d_step { __VA_ARGS__ } :: deaths < DEATHS -> goto dying fi

#define FREE 255

/* ===================================================================================================== */
#if defined(SCENARIO_APPEND) || defined(SCENARIO_ROLL) || defined(SCENARIO_POWER)
/*
 * Append, roll, repair. All of `control` is here: the robust mutex, slot[2], generation.
 *
 * Complete for (states in thousands, without reduction):
 *   APPEND  one segment of 8 cells, frames of 2 and 3, batches of two; one tailer;
 *           2 appenders, 5 appends, 3 deaths (990); 3 appenders, 4 appends, 2 deaths (1450)
 *   ROLL    two segments of 6 cells; one tailer; 2 appenders, 4 appends, 3 deaths (1170)
 *   POWER   one segment of 6 cells, single records and batches of two; 2 appenders, 3 appends, 2 deaths, one flush
 *           of a repair that fails, power cut or death of all at any time, then one more power cut while recover
 *           runs or after it (6800)
 * A thread that died is born again as a new one: more than two take part, though not more than two at a time.
 */
#ifndef APPENDERS
#define APPENDERS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 3
#endif
#ifdef SCENARIO_APPEND
#define SEGMENTS 1
#define SEGMENT 8
#endif
#ifdef SCENARIO_ROLL
#define SEGMENTS 2
#define SEGMENT 6
#endif
#ifdef SCENARIO_POWER
#define SEGMENTS 1
#ifndef SEGMENT
#define SEGMENT 6
#endif
#endif
#define CELLS (SEGMENTS * SEGMENT)

/* A cell: 0, a cell of a body, or a word (kind, length in cells, place in the batch, id of the append). */
#define BODY      1
#define RECORD    2
#define END       3
#define ALONE     0
#define FIRST     1
#define LAST      2
#define KIND(x)   ((x) & 3)
#define LENGTH(x) (((x) >> 2) & 3)
#define PLACE(x)  (((x) >> 4) & 3)
#define ID(x)     (((x) >> 6) & 15)
#define WORD(kind, length, place, id) ((kind) + ((length) << 2) + ((place) << 4) + ((id) << 6))
/* A body bears the durable lag; here simply the watermark of the moment. */
#define BODYOF(id, known) (BODY + ((known) << 2) + ((id) << 6))
#define KNOWN(x)  (((x) >> 2) & 15)
#define ENDLENGTH 2

#define CURRENT (generation & 1)
#define OTHER   (1 - (generation & 1))

short cell[CELLS];
byte owner = FREE;           /* the mutex */
bool ownerDead = false;      /* the next to lock it is told EOWNERDEAD */
byte slotTail[2], slotSequence[2];
byte slotStamp[2];           /* smallest and largest timestamp go the same way; here the largest length */
byte generation = 0;         /* a 64-bit number; only its last bit matters under the lock */
byte deaths = 0, attempts = 0;
byte watermark = 0;

#if SEGMENTS > 1
byte activation = 0;         /* of the second segment: 0 = bad, else base sequence + 1 */
#define BADSEAL 255
byte sealEnd = BADSEAL, sealSequence = 0, sealStamp = 0;   /* of the first segment */
#endif

bool putOff = false;         /* a repair was put off: once in a run */

/* What is true, known to the checks only. */
byte trueEnd = 0;            /* behind the last committed frame */
byte trueCount = 0;          /* committed records */
#if SEGMENTS > 1
byte trueStamp = 0;          /* of the active segment */
byte trueEndFrame = 0, trueSealStamp = 0, trueSealSequence = 0;
#endif
#ifdef SCENARIO_POWER
short trueWord[CELLS];       /* the word that was committed at a position */
short disk[CELLS];           /* what a power cut leaves */
bool stuck[CELLS];           /* its write-back failed: clean all the same, until it is stored again */
bool failedOnce = false;
bool repairing = false, needsRecovery = false;
bool cut = false;            /* the writers are gone; recover has its turn */
bool restarted = false;
byte cuts = 0;
bool forgetful = false;      /* that was a power cut, not only the death of all processes */
#define ALIVE provided (!cut)
#else
#define ALIVE
#endif

/* Nothing committed is ever stored into again, by anyone. */
#ifdef SCENARIO_POWER
inline store(p, x) { assert(p >= trueEnd); if :: cell[p] != x -> stuck[p] = false :: else fi; cell[p] = x }
#else
inline store(p, x) { assert(p >= trueEnd); cell[p] = x }
#endif

/* The store of a (first) word: from here on everybody sees the frame, so it must be whole. */
inline commit(p, x) {
    assert(p == trueEnd);
    store(p, x);
    /* the frame and, of a batch, the second one are complete: words and bodies of this append */
    k = p + 1;
    do
    :: k < p + LENGTH(x) -> assert(KIND(cell[k]) == BODY && ID(cell[k]) == ID(x)); k++
    :: else -> break
    od;
    if
    :: PLACE(x) == FIRST ->
        assert(KIND(cell[k]) == RECORD && PLACE(cell[k]) == LAST && ID(cell[k]) == ID(x));
        assert(ID(cell[k + 1]) == ID(x) && KIND(cell[k + 1]) == BODY)
    :: else
    fi;
#ifdef SCENARIO_POWER
    trueWord[p] = x;
    if :: PLACE(x) == FIRST -> trueWord[k] = cell[k] :: else fi;
#endif
    if
    :: PLACE(x) == FIRST -> k = k + 2; trueCount = trueCount + 2
    :: PLACE(x) != FIRST && KIND(x) == RECORD -> trueCount++
    :: else
    fi;
#if SEGMENTS > 1
    if
    :: KIND(x) == END ->
        /* The activation line counts from here on. */
        assert(activation == trueCount + 1);
        trueEndFrame = p; trueSealStamp = trueStamp; trueSealSequence = trueCount; trueStamp = 0;
        k = SEGMENT
    :: KIND(x) == RECORD && LENGTH(x) > trueStamp -> trueStamp = LENGTH(x)
    :: else
    fi;
#endif
    trueEnd = k; k = 0
}

/* What must hold for whoever has the lock and has repaired what was to repair. */
inline whole() {
    assert(slotTail[CURRENT] == trueEnd);
    assert(slotSequence[CURRENT] == trueCount);
    k = trueEnd;
    do
    :: k < CELLS -> assert(cell[k] == 0); k++
    :: else -> k = 0; break
    od;
#if SEGMENTS > 1
    assert(slotStamp[CURRENT] == trueStamp);
    if
    :: trueEnd >= SEGMENT ->
        assert(sealEnd == trueEndFrame && sealSequence == trueSealSequence && sealStamp == trueSealStamp)
    :: else
    fi
#endif
}

/* Tail, sequence and timestamps move in one store. */
#ifdef MISTAKE_SEPARATE_STORES
#define ADVANCE \
    STEP(slotTail[CURRENT] = slotTail[OTHER]); \
    STEP(slotSequence[CURRENT] = slotSequence[OTHER]); \
    STEP(slotStamp[CURRENT] = slotStamp[OTHER])
#else
#define ADVANCE STEP(generation++)
#endif

#ifdef SCENARIO_POWER
#define FLUSHALL \
    k = 0; \
    do \
    :: k < CELLS -> if :: !stuck[k] -> disk[k] = cell[k] :: else fi; k++ \
    :: else -> k = 0; break \
    od

/*
 * The flush of a repair. It may fail, and who is told may die before he tells; the next one's descriptor may be
 * younger and is told nothing. NEEDED: a mark is set before this flush and cleared behind it, and found set by the
 * next repair it means needsRecovery. (Not `flushing`: that is the flusher's, and the two locks are never held
 * together.)
 */
inline flushZeros() {
#ifndef MISTAKE_REPAIR_FLUSH_UNMARKED
    if
    :: repairing -> STEP(needsRecovery = true)
    :: else -> STEP(repairing = true)
    fi;
#endif
    if
    :: needsRecovery
    :: !needsRecovery -> STEP(FLUSHALL)
    :: d_step { !needsRecovery && !failedOnce && disk[t + 2] != cell[t + 2] ->
        /* fails for the page that matters most: the second frame of a dead batch */
        stuck[t + 2] = true; stuck[t + 3] = true; failedOnce = true; told = true; FLUSHALL; k = 0 }
    fi;
    if
    :: told -> STEP(needsRecovery = true; told = false)
    :: else
    fi;
    STEP(repairing = false)
}
#endif

inline writeSeal() {
    STEP(sealEnd = BADSEAL; sealSequence = slotSequence[CURRENT]);       /* a line is torn while it is written */
    STEP(sealEnd = slotTail[CURRENT]; sealStamp = slotStamp[CURRENT])
}

inline enterSuccessor() {
    STEP(slotTail[OTHER] = SEGMENT);
    STEP(slotSequence[OTHER] = slotSequence[CURRENT]);
    STEP(slotStamp[OTHER] = 0);
    ADVANCE
}

/*
 * EOWNERDEAD: the word decides. The order of slot and payload matters (NEEDED: the other slot's tail must be
 * stored before the first store into the data, for the compiler too: a release store keeps earlier stores
 * before it, and does not keep later plain stores behind it).
 */
inline repair() {
    t = slotTail[CURRENT];
#ifdef MISTAKE_REPAIR_BY_EXTENT
    if
    :: true ->
#else
    if
    :: KIND(cell[t]) == RECORD -> ADVANCE
#if SEGMENTS > 1
    :: KIND(cell[t]) == END ->
#ifndef MISTAKE_SEAL_NOT_REWRITTEN
        writeSeal();
#endif
        enterSuccessor()
#endif
    :: cell[t] == 0 ->
#endif
        i = t;
#ifdef MISTAKE_ZERO_WORD_ONLY
        if :: i < slotTail[OTHER] -> STEP(store(i, 0)) :: else fi;
#else
#ifdef SCENARIO_POWER
        seen = false;
#endif
        do
        :: i < slotTail[OTHER] ->
#ifdef SCENARIO_POWER
            STEP(if :: KIND(cell[i]) >= RECORD -> seen = true :: else fi; store(i, 0); i++)
#else
            STEP(store(i, 0); i++)
#endif
        :: else -> break
        od;
#endif
#ifdef SCENARIO_POWER
        /*
         * Words of a dead batch may be on the disk. NEEDED: flush whenever the range was not empty, and not only
         * if a non-zero word was found: who repairs after a dead repairer finds only 0, though the zeros are
         * not on the disk (MISTAKE_FLUSH_IF_SEEN).
         */
#if defined(MISTAKE_REPAIR_WITHOUT_FLUSH)
#elif defined(MISTAKE_FLUSH_IF_SEEN)
        if :: seen -> flushZeros() :: else fi;
#else
        if :: t < slotTail[OTHER] -> flushZeros() :: else fi;
#endif
        seen = false;
#endif
    fi;
    t = 0; i = 0;
    STEP(ownerDead = false)                /* consistent comes last: a second death repeats all of it */
}

#if SEGMENTS > 1
inline roll() {
#ifdef MISTAKE_ACTIVATION_ONCE
    if
    :: activation != 0
    :: else ->
#else
    if
    :: true ->
#endif
        STEP(assert(trueEnd < SEGMENT); activation = 0);
        STEP(assert(trueEnd < SEGMENT); activation = slotSequence[CURRENT] + 1)
    fi;
    STEP(slotTail[OTHER] = t + ENDLENGTH);
    STEP(store(t + 1, BODYOF(15, 0)));
    STEP(commit(t, WORD(END, ENDLENGTH, ALONE, 15)));
    writeSeal();
    enterSuccessor();
    t = slotTail[CURRENT]
}
#endif

proctype appender() ALIVE {
    byte t = 0;              /* the tail */
    byte need = 0;           /* cells to write */
    byte id = 0, i = 0, k = 0;
    byte shape = 0;          /* what is appended: 1 short, 2 long, 3 batch of two, 4 in place, 5 in place, throws */
#ifdef SCENARIO_POWER
    bool seen = false, told = false;
#endif

life:
    do
    #ifdef SCENARIO_POWER
    :: atomic { needsRecovery -> goto over }
#endif
    :: atomic { attempts == ATTEMPTS && !ownerDead -> goto over }
    :: atomic { owner == FREE && (attempts < ATTEMPTS || ownerDead) -> owner = _pid };
        if
        :: ownerDead -> repair()
        /* It can't open the segment: nothing is changed, and the repair stays due. */
        :: atomic { ownerDead && !putOff -> putOff = true; owner = FREE; goto life }
        :: else
        fi;
#ifdef SCENARIO_POWER
        if
        :: needsRecovery -> goto unlock
        :: else
        fi;
#endif
        d_step { whole() };
        if
        :: attempts == ATTEMPTS -> goto unlock
        :: atomic { attempts < ATTEMPTS ->
            attempts++; id = attempts; t = slotTail[CURRENT];
            if
#ifdef SCENARIO_POWER
            :: shape = 1; need = 2
            :: shape = 3; need = 4
#else
            :: shape = 1; need = 2
            :: shape = 2; need = 3
            :: shape = 3; need = 4
#ifdef SCENARIO_APPEND
            :: shape = 4; need = 3
            :: shape = 5; need = 3
#endif
#endif
            fi }
        fi;
        /* An append leaves room for `end`. */
        if
        :: t + need + ENDLENGTH <= ((t / SEGMENT) + 1) * SEGMENT
#if SEGMENTS > 1
        :: t + need + ENDLENGTH > ((t / SEGMENT) + 1) * SEGMENT && t < SEGMENT -> roll()
        :: t + need + ENDLENGTH > ((t / SEGMENT) + 1) * SEGMENT && t >= SEGMENT -> goto unlock
#else
        :: else -> goto unlock
#endif
        fi;

        /* 1. The other slot bounds what is about to be written. */
#ifdef MISTAKE_PAYLOAD_BEFORE_SLOT
        STEP(store(t + 1, BODYOF(id, watermark)));
#endif
        STEP(slotTail[OTHER] = t + need);
        STEP(slotSequence[OTHER] = slotSequence[CURRENT] + (shape == 3 -> 2 : 1));
        STEP(slotStamp[OTHER] = slotStamp[CURRENT];
            if
            :: shape == 2 && slotStamp[OTHER] < 3 -> slotStamp[OTHER] = 3
            :: shape != 2 && slotStamp[OTHER] < 2 -> slotStamp[OTHER] = 2
            :: else
            fi);

        /* 2. Everything but the words. */
#ifdef MISTAKE_FIRST_WORD_FIRST
        if :: shape == 3 -> STEP(commit(t, WORD(RECORD, 2, FIRST, id))) :: else fi;
#endif
        STEP(store(t + 1, BODYOF(id, watermark)));
        if
        :: shape == 2 || shape == 4 || shape == 5 -> STEP(store(t + 2, BODYOF(id, watermark)))
        :: shape == 3 -> STEP(store(t + 3, BODYOF(id, watermark)))
        :: else
        fi;
#ifdef SCENARIO_APPEND
        if
        :: shape == 4 ->
            /* The closure used less than was reserved: zero the rest first, then correct the other slot. */
#ifdef MISTAKE_SLOT_BEFORE_ZERO
            STEP(slotTail[OTHER] = t + 2);
            STEP(store(t + 2, 0))
#else
            STEP(store(t + 2, 0));
            STEP(slotTail[OTHER] = t + 2)
#endif
        :: shape == 5 ->
            STEP(store(t + 2, 0));
            STEP(store(t + 1, 0));
            goto unlock
        :: else
        fi;
#endif

        /* 3. The words, the first one last: that is the commit. */
        if
        :: shape == 3 ->
            STEP(store(t + 2, WORD(RECORD, 2, LAST, id)));
#ifndef MISTAKE_FIRST_WORD_FIRST
            STEP(commit(t, WORD(RECORD, 2, FIRST, id)))
#endif
        :: shape == 2 -> STEP(commit(t, WORD(RECORD, 3, ALONE, id)))
        :: else -> STEP(commit(t, WORD(RECORD, 2, ALONE, id)))
        fi;

        /* 4. */
        ADVANCE;
unlock:
        STEP(assert(owner == _pid && !ownerDead); owner = FREE; t = 0; need = 0; id = 0; i = 0; shape = 0)
    od;

dying:
    atomic {
        deaths++;
        if
        :: owner == _pid -> owner = FREE; ownerDead = true
        :: else
        fi;
        t = 0; need = 0; id = 0; i = 0; k = 0; shape = 0;
#ifdef SCENARIO_POWER
        seen = false; told = false;
#endif
        goto life
    };
over:
    skip
}

#ifndef SCENARIO_POWER
/*
 * A tailer takes no lock. What is committed it sees at once, whoever is dead or stopped; what isn't, never.
 */
proctype tailer() {
    byte r = 0, count = 0, k = 0;
    short x = 0;
end:
    do
    :: atomic { r < CELLS && cell[r] == 0 && r != trueEnd -> assert(false) }   /* it would wait for a writer */
    :: atomic { r < CELLS && cell[r] != 0 -> x = cell[r]; assert(r < trueEnd) };
        if
        :: KIND(x) == RECORD ->
            /* the body is read later than the word, and is whole */
            d_step {
                k = r + 1;
                do
                :: k < r + LENGTH(x) -> assert(cell[k] == BODYOF(ID(x), 0)); k++
                :: else -> break
                od;
                /* a batch is checked whole before its first record is handed out */
                if
                :: PLACE(x) == FIRST ->
                    assert(cell[k] == WORD(RECORD, 2, LAST, ID(x)) && cell[k + 1] == BODYOF(ID(x), 0))
                :: else
                fi;
                count++; r = k; k = 0; x = 0
            }
#if SEGMENTS > 1
        :: KIND(x) == END -> d_step { r = SEGMENT; assert(activation == count + 1); x = 0 }
#endif
        :: else -> assert(false)             /* torn */
        fi
    od
}

init { atomic {
    byte a = 0;
    do :: a < APPENDERS -> run appender(); a++ :: else -> break od;
    run tailer()
} }

#else
/*
 * The kernel and the power. A cell may be written back at any time, in any order. sync is one step here (its own
 * steps are SCENARIO_SYNC): all is flushed, and the watermark goes to the end of what is committed.
 */
proctype world() {
    byte c = 0, k = 0;
end:
    do
    :: atomic {
        select(c : 0 .. CELLS - 1);
        if
        :: disk[c] != cell[c] && !stuck[c] -> disk[c] = cell[c]
        :: else
        fi;
        c = 0 }
#ifndef NOSYNC
    :: d_step { !cut && watermark < trueEnd && !needsRecovery -> FLUSHALL; watermark = trueEnd }
#endif
    :: d_step { cuts < 2 && !(cut && cuts == 0) ->
        /* power cut */
        cuts++; cut = true; restarted = true; forgetful = true;
        k = 0; do :: k < CELLS -> cell[k] = disk[k]; stuck[k] = false; k++ :: else -> break od;
        k = 0 }
    :: d_step { !cut ->
        cut = true; cuts = 1; restarted = true;
        k = 0;
        do :: k < CELLS -> stuck[k] = false; k++ :: else -> break od;
        k = 0 }
        /* all processes die; the cache stays, and what the disk lacks is written to fresh files */
    od
}

#define RSTEP(...) if :: d_step { !restarted -> __VA_ARGS__ } :: restarted -> goto again fi

inline valid(p) {
    good = false;
    if
    :: KIND(cell[p]) == RECORD && p + 1 < CELLS ->
        good = (KIND(cell[p + 1]) == BODY && ID(cell[p + 1]) == ID(cell[p]))
    :: else
    fi
}

proctype recoverer() {
    byte p = 0, i = 0, known = 0, k = 0;
    bool good = false;
    byte firstCut = 255;     /* where an earlier recovery of the same state would have cut */
    bool before = false;     /* the earlier one was behind a power cut too */
    bool done = false;
end:
    cut;
again:
    skip;
    d_step {
        restarted = false;
        /* known durable: the largest statement of all valid frames */
        known = 0; i = 0;
        do
        :: i < CELLS ->
            valid(i);
            if
            :: good && KNOWN(cell[i + 1]) > known -> known = KNOWN(cell[i + 1])
            :: else
            fi;
            i++
        :: else -> break
        od;
        /* the walk: to the first frame that is bad or 0; an incomplete batch goes whole */
        p = 0; good = true;
        do
        :: good && p < CELLS ->
            valid(p);
            if
            :: good && PLACE(cell[p]) == ALONE -> assert(cell[p] == trueWord[p]); p = p + 2
            :: good && PLACE(cell[p]) == FIRST && p + 2 < CELLS ->
                valid(p + 2);
                if
                :: good && PLACE(cell[p + 2]) == LAST ->
                    /* both are of the batch that was committed here, not of a dead one */
                    assert(cell[p] == trueWord[p]);
                    assert(cell[p + 2] == trueWord[p + 2]);
                    p = p + 4
                :: else -> good = false
                fi
            :: else -> good = false
            fi
        :: else -> break
        od;
        i = 0; good = false;
        assert(p >= known);              /* else recover would cry damage, and nothing is damaged */
        assert(p >= watermark);          /* nothing that was called durable is lost */
        if
        :: !forgetful -> assert(p == trueEnd)   /* in the same boot nothing goes that a tailer was handed */
        :: else
        fi;
        /* interrupted anywhere, recovery starts over and comes to the same log */
        if
        :: firstCut != 255 && (done || forgetful == before) -> assert(p == firstCut)
        :: firstCut != 255 -> assert(p <= firstCut)   /* what was only in the cache may be gone */
        :: else
        fi;
        firstCut = p; before = forgetful
    };
    /* the word at the cut first, then the rest */
    if
    :: p < CELLS ->
        RSTEP(cell[p] = 0);
        RSTEP(disk[p] = cell[p])
    :: else
    fi;
    i = p;
    do
    :: i < CELLS ->
#ifdef MISTAKE_CUT_ONLY_VALID
        /* zeroes only if a frame was found at the cut or beyond */
        RSTEP(valid(i); if :: good -> cell[i] = 0; cell[i + 1] = 0 :: else fi; i++; good = false)
#else
        /* NEEDED: all of it to the end of the segment, not only where valid frames were found */
        RSTEP(cell[i] = 0; i++)
#endif
    :: else -> break
    od;
    RSTEP(FLUSHALL; i = 0);
    RSTEP(
        k = 0;
        do
        :: k < CELLS -> assert(disk[k] == cell[k] && (k < p || cell[k] == 0)); k++
        :: else -> k = 0; break
        od;
        done = true);
    /* a power cut from here on finds the recovered log */
    if
    :: restarted -> goto again
    fi
}

init { atomic {
    byte a = 0;
    do :: a < APPENDERS -> run appender(); a++ :: else -> break od;
    run world(); run recoverer()
} }
#endif
#endif

/* ===================================================================================================== */
#ifdef SCENARIO_SYNC
/*
 * sync. One appender (killed and born again), two flushers, four positions: 0 a record, 1 the `end` of the first
 * segment, 2 and 3 records of the second. A frame is one cell here: torn frames are SCENARIO_APPEND's.
 *
 * Complete for 2 flushers and (thousands of states) 2 calls, 2 deaths, 1 failed write-back (4600); 2 calls, 1 death,
 * 2 failures (7290); 3 calls, 2 deaths, 1 failure with one position only (137). A flusher that died is born again,
 * and opens its descriptors anew. Not complete: 3 calls over all four positions, too large. With a repair's flush beside
 * them: 2 calls, 1 failure, and 1 death with one position (870) or none with two (3990).
 *
 * The disk, as Linux does it: a dirty cell is written back at any time. If that fails, the cell is clean all the
 * same and the disk lacks it. Each descriptor that is open then reports the failure once, at its next fdatasync;
 * one opened later reports it only if nobody had been told before.
 */
#ifndef SYNCS
#define SYNCS 3
#endif
#ifndef FAILURES
#define FAILURES 1
#endif
#ifndef POSITIONS
#define POSITIONS 4
#endif
#define SUCCESSOR 2            /* start of the second segment */
#define HEADER 4               /* the header page of the second segment, with its activation line */

#define EMPTY 0
#define DIRTY 1                /* only in the cache */
#define ONDISK 2
#define MISSING 3              /* the cache shows it, and the disk lacks it: a write-back failed */

byte word[5];                  /* state of each cell; not EMPTY = its word is not 0 */
bool directoryOnDisk = false;
byte slotTail[2];
byte generation = 0;
byte trueEnd = 0;
byte watermark = 0;
bool putOff = false;           /* a repair was put off: once in a run */
bool flushing = false, poison = false;
byte flushOwner = FREE;
bool flushOwnerDead = false;
byte deaths = 0, syncs = 0, failures = 0;

bool opened[2];                /* flusher has descriptors */
bool reports[4];               /* [flusher * 2 + file]: its next fdatasync fails */
bool untold[2];                /* [file]: a failure nobody has been told of */
bool older[2];                 /* flusher's descriptors are all older than the flush that `flushing` speaks of */

/*
 * The flush of a repair, under the append lock, through the descriptors of flusher 0, whose process it is in. NEEDED: it
 * is marked (`batch_words` = 2) from before it begins until it has ended well, and who raises the watermark looks at the
 * mark behind its own flush: that may have been told nothing of a failure that the repair was told of.
 */
#ifndef REPAIRS
#define REPAIRS 0
#endif
bool repairing = false;        /* `batch_words` is 2 */
bool repairFailed = false;     /* `needs_recovery` */
bool repairerDead = false;     /* the append lock has no owner */

#define FILE(c) ((c) >= SUCCESSOR)

inline fail(c) {
    failures++;
    word[c] = MISSING;
    untold[FILE(c)] = true;
    reports[FILE(c)] = reports[FILE(c)] || opened[0];
    reports[2 + FILE(c)] = reports[2 + FILE(c)] || opened[1]
}

/*
 * Only the failures of write-back are shown; one that goes well before the flush changes nothing anybody looks
 * at, and a failure within fdatasync is one just before it.
 */
proctype disk() {
    byte c = 0;
end:
    do
    :: atomic { failures < FAILURES -> select(c : 0 .. 4); if :: word[c] == DIRTY -> fail(c) :: else fi; c = 0 }
#ifdef MISTAKE_FLUSH_ASIDE
    /* somebody flushes a segment outside of this protocol, and keeps what he is told to himself */
    :: d_step { untold[0] -> untold[0] = false }
    :: d_step { untold[1] -> untold[1] = false }
#endif
    od
}

#if REPAIRS
proctype repairer() {
    byte f = 0, c = 0;
    bool told = false;
    do
    :: atomic { opened[0] && !poison -> repairing = true; break }
    :: true -> goto over                                  /* there is nothing to repair */
    od;
    if
    :: f = 0
    :: f = 1
    fi;
    d_step {
        do
        :: c <= 4 -> if :: FILE(c) == f && word[c] == DIRTY -> word[c] = ONDISK :: else fi; c++
        :: else -> break
        od;
        c = 0;
        if
        :: reports[f] -> told = true; reports[f] = false; untold[f] = false
        :: else
        fi
    };
    if
    :: told -> repairFailed = true
    :: !told -> repairing = false
    :: repairerDead = true
    fi;
over:
    skip
}
#endif

/* He needs no deaths here: a flusher never waits for him, so to it his death is a long pause. */
proctype appender() {
    byte t = 0;
    do
    :: t < POSITIONS ->
        d_step {
            slotTail[1 - (generation & 1)] = t + 1;
            if
            :: t + 1 == SUCCESSOR -> word[HEADER] = DIRTY        /* the roll's activation line */
            :: else
            fi
        };
        d_step { word[t] = DIRTY; trueEnd = t + 1 };
        d_step { generation++; t++ }
    :: t == POSITIONS || poison || repairFailed -> break
    od
}

/*
 * Without the append lock. NEEDED: generation, slot, generation again, else the slot may be the one that is just
 * filled for the next append, and its tail bounds what isn't committed.
 */
inline walk() {
    g = 255; e = 0;
    do
    :: g != generation ->
        STEP(g = generation);
        STEP(e = slotTail[g & 1])
#ifdef MISTAKE_NO_SECOND_GENERATION
        ; break
#endif
    :: else -> break
    od;
    /* One step: words never go back, so this is what is there when the first 0 is met. */
    STEP(
#ifndef MISTAKE_TAIL_ALONE
        do
        :: e < POSITIONS && word[e] != EMPTY -> e++
        :: else -> break
        od;
#endif
        g = 0)
}

/* fdatasync: writes what is dirty, and tells what this descriptor was not told yet. */
inline dataSync(f) {
    STEP(
        c = 0;
        do
        :: c <= 4 -> if :: FILE(c) == f && word[c] == DIRTY -> word[c] = ONDISK :: else fi; c++
        :: else -> break
        od;
        c = 0;
        if
        :: reports[me * 2 + f] -> failed = true; reports[me * 2 + f] = false; untold[f] = false
        :: else
        fi)
}

#define UNMARK STEP(flushing = false; older[0] = false; older[1] = false)

inline raise() {
    STEP(
        assert(e >= watermark && e <= trueEnd);
        c = 0;
        do
        :: c < e -> assert(word[c] == ONDISK); c++     /* nothing above the real flush is called durable */
        :: else -> break
        od;
        c = 0;
        /*
         * A frame that is appended now names this watermark. If that is in the second segment, recovery has to find
         * the segment and a good activation line, else it would call it damage.
         */
        assert(e < SUCCESSOR || (word[HEADER] == ONDISK && directoryOnDisk));
        watermark = e)
}

proctype flusher(byte me) {
    byte target = 0;         /* what was visible before the call */
    byte e = 0, g = 0, c = 0;
    bool failed = false;
life:
    do
    :: atomic { syncs == SYNCS -> break }
    /* descriptors are opened at any time before they are needed */
    :: d_step { !opened[me] && syncs < SYNCS ->
        opened[me] = true; reports[me * 2] = untold[0]; reports[me * 2 + 1] = untold[1] }
    :: atomic { opened[me] && syncs < SYNCS -> syncs++; target = trueEnd };
        /* who finds it durable already returns, without any lock */
        if
        :: true
        :: watermark > 0 ->
            walk();
            atomic {
                if
                :: watermark >= e -> goto durable
                :: else -> e = 0
                fi }
        fi;
        atomic { flushOwner == FREE -> flushOwner = me };
        if
        /* It can't open what is to be flushed: `flushing` stays, and the next one's first work with it. */
        :: atomic { flushOwnerDead && flushing && !putOff -> putOff = true; flushOwner = FREE; goto next }
        :: flushOwnerDead ->
            /*
             * He died with `flushing` set: what his flush was told is lost, and ours may be told nothing. Whose
             * descriptors are all older than that flush is told again, and may go on. NEEDED: the mark, and the
             * moment it speaks of, then stay as they are until a flush has ended well.
             */
            if
            :: flushing && !older[me] -> STEP(poison = true); UNMARK
            :: else
            fi;
            STEP(flushOwnerDead = false)
        :: else
        fi;
        if
        :: poison || repairFailed -> STEP(assert(!flushOwnerDead); flushOwner = FREE); goto next
        :: else
        fi;
        walk();
        if
        :: watermark >= e && !flushing -> STEP(assert(!flushOwnerDead); flushOwner = FREE); goto durable
        :: else
        fi;
#ifdef PIECES
        /*
         * A piece of a sealed segment, before all of it: written, waited for, and perhaps told to have failed. Between
         * it and the rest the flusher gives way, without the mark. NEEDED: it stands over the piece itself.
         */
        if
        :: !flushing && watermark < SUCCESSOR && e >= SUCCESSOR ->
#ifndef MISTAKE_PIECE_UNMARKED
            STEP(flushing = true; older[0] = opened[0]; older[1] = opened[1]);
#endif
            dataSync(0);
            if
            :: !failed -> UNMARK
            :: else
            fi
        :: true
        fi;
#endif
#ifndef MISTAKE_NO_FLUSHING
        STEP(
            if
#ifdef MISTAKE_MARK_RENEWED
            :: true ->
#else
            :: !flushing ->
#endif
                flushing = true; older[0] = opened[0]; older[1] = opened[1]
            :: else
            fi);
#endif
#ifdef MISTAKE_WATERMARK_FIRST
        raise();
#endif
        /* oldest first; the second segment as soon as the walk has entered it, though it may have no frame yet */
        if
        :: watermark < SUCCESSOR -> dataSync(0)
        :: else
        fi;
        if
#ifdef MISTAKE_EMPTY_SUCCESSOR_NOT_FLUSHED
        :: !failed && e > SUCCESSOR -> dataSync(1)
#else
        :: !failed && e >= SUCCESSOR -> dataSync(1)
#endif
        :: else
        fi;
#ifndef MISTAKE_NO_DIRECTORY
        if
        :: !failed && e >= SUCCESSOR && watermark < SUCCESSOR -> STEP(directoryOnDisk = true)
        :: else
        fi;
#endif
        if
        :: failed ->
            /* never retried; and everybody knows before the mark goes */
#ifdef MISTAKE_FLUSH_RETRIED
            failed = false; dataSync(0);
            if :: !failed -> dataSync(1) :: else fi;
            if :: !failed -> raise() :: else -> STEP(poison = true) fi;
            UNMARK;
#else
#ifdef MISTAKE_MARK_CLEARED_BEFORE_POISON
            UNMARK;
            STEP(poison = true);
#else
            STEP(poison = true);
            UNMARK;
#endif
#endif
            STEP(assert(!flushOwnerDead); flushOwner = FREE);
            goto next
        :: else
        fi;
#if REPAIRS && !defined(MISTAKE_REPAIR_BESIDE)
        if
        :: !repairing
        :: repairing && (repairFailed || repairerDead) ->
            UNMARK;
            STEP(assert(!flushOwnerDead); flushOwner = FREE);
            goto next
        fi;
#endif
#ifndef MISTAKE_WATERMARK_FIRST
        raise();
#endif
        UNMARK;
        STEP(assert(!flushOwnerDead); flushOwner = FREE);
durable:
        /* sync() has made durable everything that was visible before the call */
        assert(watermark >= target);
next:
        atomic { target = 0; e = 0; failed = false }
    od;
    goto over;
dying:
    atomic {
        deaths++;
        if
        :: flushOwner == me -> flushOwner = FREE; flushOwnerDead = true
        :: else
        fi;
        opened[me] = false; older[me] = false; reports[me * 2] = false; reports[me * 2 + 1] = false;
        target = 0; e = 0; g = 0; c = 0; failed = false;
        goto life
    };
over:
    skip
}

init {
    atomic {
        run appender(); run flusher(0); run flusher(1); run disk()
#if REPAIRS
        ; run repairer()
#endif
    }
}
#endif

/* ===================================================================================================== */
#ifdef SCENARIO_WAKE
/*
 * A tailer that sleeps, and the one who wakes it. Appenders have store buffers: the word, and the unlocking behind
 * it, may become visible later than what the appender loads next. A read-modify-write, the fence and the kernel
 * empty the buffer. A flusher that raised the watermark wakes in the same way as an appender that stored a word.
 *
 * Complete for 2 appenders, 2 tailers and (thousands of states) 3 records without death (590); 2 records and 2
 * deaths of appenders (7470). A killed tailer only leaves the flag set, which costs one wake; it isn't shown.
 *
 * What is checked is more than "never longer than the bound": a tailer sleeps beside a record it has not seen only
 * if an appender died between commit and wake, and nobody came after him who repaired or woke. Only then does the
 * bound (100 ms) end the sleep.
 *
 * NEEDED: `waiters` is a flag and a count in one word; who wakes clears the flag and adds one. With a flag alone
 * (MISTAKE_FLAG_WITHOUT_COUNT) a wake is lost until the bound: T1 sets the flag and looks; A commits, clears it and
 * wakes nobody; T2 sets it again; T1 now goes to sleep, since the flag is as it expects.
 */
#ifndef COMMITS
#define COMMITS 3
#endif
#define FLAG 1

byte waiters = 0;              /* count * 2 + flag */
byte visible = 0;              /* records in memory, for all to see */
bool bufferedWord[2], bufferedUnlock[2];
byte owner = FREE;
bool ownerDead = false;
byte commits = 0, deaths = 0;
bool asleep[2];
byte seen[2];
bool unpaid = false;           /* somebody died between unlock and wake, and nobody has taken the flag since */
bool owes[2];                  /* appender has committed and not yet woken */

inline drain(a) {
    if :: bufferedWord[a] -> bufferedWord[a] = false; visible++ :: else fi;
    if :: bufferedUnlock[a] -> bufferedUnlock[a] = false; owner = FREE :: else fi
}

proctype memory() {
end:
    do
    :: d_step { bufferedWord[0] -> bufferedWord[0] = false; visible++ }
    :: d_step { bufferedWord[1] -> bufferedWord[1] = false; visible++ }
    :: d_step { bufferedUnlock[0] && !bufferedWord[0] -> bufferedUnlock[0] = false; owner = FREE }
    :: d_step { bufferedUnlock[1] && !bufferedWord[1] -> bufferedUnlock[1] = false; owner = FREE }
    od
}

inline wakeAll() {
#ifdef MISTAKE_WAKE_ONE
    if
    :: asleep[0] -> asleep[0] = false
    :: !asleep[0] && asleep[1] -> asleep[1] = false
    :: else
    fi
#else
    asleep[0] = false; asleep[1] = false
#endif
}

/* After the commit: load the flag, and only if it is set, exchange it and wake. */
inline wake() {
    if
    :: d_step { (waiters & FLAG) == 0 -> owes[me] = false }
    :: d_step { waiters & FLAG -> v = waiters };
#ifdef MISTAKE_FLAG_WITHOUT_COUNT
        STEP(drain(me); v = waiters & FLAG; waiters = 0; if :: v != 0 -> unpaid = false :: else -> owes[me] = false fi);
#else
        /* who fails here leaves it to the one who was faster: he wakes all, too */
        STEP(drain(me); if :: waiters == v -> waiters++; unpaid = false; v = 1 :: else -> v = 0; owes[me] = false fi);
#endif
        if
        :: v == 1 -> STEP(wakeAll(); owes[me] = false; v = 0)
        :: v == 0
        fi
    :: deaths < DEATHS -> goto dying
    fi
}

proctype appender(byte me) {
    byte v = 0;
    bool repairs = false;
life:
    do
    :: atomic { commits == COMMITS && !ownerDead -> break }
    :: atomic { owner == FREE && !bufferedUnlock[me] && (commits < COMMITS || ownerDead) ->
        owner = me; repairs = ownerDead; owes[me] = ownerDead };
        if
        :: repairs ->
            STEP(ownerDead = false);
            STEP(bufferedUnlock[me] = true);
#ifndef MISTAKE_NO_WAKE_AFTER_REPAIR
            /* always wake after a repair */
            wake();
#endif
            d_step { repairs = false; owes[me] = false }
        :: else ->
            STEP(commits++; bufferedWord[me] = true; owes[me] = true);
            STEP(bufferedUnlock[me] = true);
            wake()
        fi
    od;
    goto over;
dying:
    atomic {
        deaths++;
        drain(me);
        /* with the lock: who repairs takes the debt over; without: only the bound is left, or the next to wake */
        if
        :: owner == me -> owner = FREE; ownerDead = true
        :: owner != me && owes[me] -> unpaid = true
        :: else
        fi;
        owes[me] = false;
        v = 0; repairs = false;
        goto life
    };
over:
    skip
}

proctype tailer(byte me) {
    byte v = 0;
    do
    :: atomic { seen[me] < visible -> seen[me] = visible }
    :: atomic { seen[me] == COMMITS -> break }
    :: atomic { seen[me] == visible && visible < COMMITS -> skip };
        d_step { waiters = waiters | FLAG; v = waiters };
#ifndef MISTAKE_NO_FENCE
        /* the sleeper pays for the fence: membarrier empties everybody's buffer */
        d_step { drain(0); drain(1) };
#endif
        /* look again, then FUTEX_WAIT: the kernel compares and sleeps in one step */
        if
#ifndef MISTAKE_NO_SECOND_LOOK
        :: d_step { seen[me] < visible -> v = 0 }
        :: seen[me] == visible ->
#else
        :: true ->
#endif
            if
            :: d_step { waiters == v -> asleep[me] = true; v = 0 };
                if
                :: !asleep[me]
                :: asleep[me] && (unpaid || ownerDead) -> asleep[me] = false       /* the bound */
                fi
            :: d_step { waiters != v -> v = 0 }
            fi
        fi
    od
}

/* When nobody can do anything any more, nobody sleeps beside what he has not seen. */
proctype watch() {
end:
    timeout -> assert(!(asleep[0] && seen[0] < visible) && !(asleep[1] && seen[1] < visible))
}

init { atomic { run appender(0); run appender(1); run tailer(0); run tailer(1); run memory(); run watch() } }
#endif

/* ===================================================================================================== */
#ifdef SCENARIO_OPEN
/*
 * Who recovers, and when the clean-close note is believed. Processes that open, append, flush (which may fail) and
 * close; they may be killed at every step, and the power may go.
 *
 * Complete for 4 opens, 2 appends or flushes, one power cut and (thousands of states) 2 processes, 2 deaths (460);
 * 3 processes, 1 death (5020). A process that closed or died is started again.
 *
 * The log is only this: is its end whole, and does `control` speak of it. The flusher's lock is left out (its
 * protocol is SCENARIO_SYNC's): a flush is done under the append lock here.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef OPENS
#define OPENS 4
#endif
#ifndef WORK
#define WORK 2
#endif
#ifndef CUTS
#define CUTS 1
#endif
#define WHOLE 0
#define TORN  1                /* something behind the last committed frame, or a frame `control` does not know */
#define HALF  2                /* a recovery was begun */

byte gate = FREE, exclusive = FREE;
bool shared[PROCESSES];
bool gone[PROCESSES];          /* died, and its writer lock is not released yet */
byte end = WHOLE;
bool slots = false;            /* `control` was set up, and speaks of this end */
bool dirty = false;            /* the disk lacks something */
bool lies = false;             /* a write-back failed: the cache shows what the disk will never have */
bool poison = false, flushing = false;
bool note = false, noteOnDisk = false;
byte appendOwner = FREE;
bool appendOwnerDead = false;
byte deaths = 0, opens = 0, work = 0, boot = 0;
#ifdef MISTAKE_CONTROL_DECIDES
bool ready = false;
#endif

/* A process is killed by a signal or by the power. */
#undef STEP
#define STEP(...) if :: d_step { mine == boot -> __VA_ARGS__ } :: mine != boot || deaths < DEATHS -> goto dying fi

inline someoneShares() { others = false; k = 0;
    do
    :: k < PROCESSES -> others = others || (k != me && shared[k]); k++
    :: else -> break
    od;
    k = 0
}

/*
 * A flush may fail, and who is told may die before he tells. NEEDED: each flush of a segment stands between setting
 * and clearing `flushing`, also that of recover and of close; and a failure leaves poison there too.
 */
inline flush() {
    if
    :: STEP(dirty = lies)
    :: STEP(if :: dirty -> lies = true; failed = true :: else fi)
    fi;
    STEP(if :: failed -> poison = true; failed = false :: else fi)
}

inline recover() {
    STEP(damaged = poison || flushing; believed = note && !damaged; slots = false; appendOwnerDead = false
#ifdef MISTAKE_POISON_CLEARED_FIRST
        ; poison = false; flushing = false
#endif
#ifdef MISTAKE_CONTROL_DECIDES
        ; ready = true
#endif
    );
    if
    :: believed ->
        STEP(assert(end == WHOLE && !lies))       /* the note never speaks of anything else */
    :: else ->
        STEP(end = (end == WHOLE -> WHOLE : HALF));
        STEP(end = WHOLE);
        if
        :: damaged ->
            /* fresh files from the cache, and only then is the poison gone. NEEDED: it outlives the setting up
               of `control`, else a death in between leaves a cache that lies and nobody who knows */
            STEP(lies = false; dirty = false);
            STEP(poison = false; flushing = false)
        :: else ->
#ifdef MISTAKE_RECOVERY_FLUSH_UNMARKED
            flush();
#else
            STEP(flushing = true);
            flush();
            STEP(flushing = false);
#endif
            if
            :: poison -> goto refuse
            :: else
            fi
        fi
    fi;
    STEP(assert(end == WHOLE && !lies); slots = true; damaged = false; believed = false);
    STEP(note = false);
#ifndef MISTAKE_NOTE_CLEARED_IN_CACHE
    STEP(noteOnDisk = note)
#endif
}

/* The append lock, with the repair that EOWNERDEAD asks for. */
inline lockAppends() {
    if
    :: atomic { appendOwner == FREE && mine == boot -> appendOwner = me }
    :: mine != boot -> goto dying
    fi;
    if
    :: appendOwnerDead -> STEP(assert(slots); end = WHOLE); STEP(appendOwnerDead = false)
    :: else
    fi
}

proctype process(byte me) {
    byte mine = 0, k = 0;
    bool others = false, damaged = false, believed = false, first = false, failed = false;
life:
    do
    :: atomic { opens == OPENS -> break }
    :: atomic { opens < OPENS && gate == FREE && !gone[me] -> gate = me; mine = boot; opens++ };
        /* try the writer byte exclusively */
        STEP(
            someoneShares();
            if
            :: !others && exclusive == FREE -> exclusive = me; first = true
            :: else
            fi;
            others = false);
        if
        :: first ->
#ifdef MISTAKE_GATE_RELEASED_EARLY
            STEP(exclusive = FREE; shared[me] = true);
            STEP(gate = FREE);
            recover();
#else
#ifdef MISTAKE_CONTROL_DECIDES
            if
            :: !ready -> recover()
            :: else
            fi;
#else
            recover();
#endif
            STEP(exclusive = FREE; shared[me] = true);            /* downgrade, in one step */
            STEP(gate = FREE);
#endif
            first = false
        :: else ->
            if
            :: atomic { exclusive == FREE && mine == boot -> shared[me] = true }
            :: mine != boot -> goto dying
            fi;
            STEP(gate = FREE)
        fi;
        /* a writer */
        do
        :: atomic { work < WORK && mine == boot -> work++ };
            lockAppends();
            if
            :: poison || flushing
            :: !poison && !flushing ->
                /* append: nobody appends to what is not whole */
                STEP(assert(end == WHOLE && slots && !note); end = TORN; dirty = true);
                STEP(end = WHOLE)
            :: !poison && !flushing ->
                /* flush */
                STEP(flushing = true);
                flush();
                STEP(flushing = false)
            fi;
            STEP(appendOwner = FREE)
        :: atomic { mine == boot -> break }
        :: atomic { mine != boot -> goto dying }
        od;
        /* close */
        if
        :: atomic { gate == FREE && mine == boot -> gate = me }
        :: mine != boot -> goto dying
        fi;
        STEP(someoneShares(); if :: !others -> shared[me] = false; exclusive = me :: else fi);
        if
        :: !others ->
            /*
             * NEEDED: alone is not enough. Another may have died in an append, and nobody has locked since: take the
             * append lock (and repair), and write no note beside poison or `flushing`.
             */
#ifndef MISTAKE_NOTE_WITHOUT_REPAIR
            lockAppends();
#endif
            if
            :: poison || flushing
            :: else ->
#ifdef MISTAKE_NOTE_BEFORE_FLUSH
                STEP(note = true);
                STEP(flushing = true);
                flush();
                STEP(flushing = false);
#else
#ifdef MISTAKE_CLOSE_FLUSH_UNMARKED
                flush();
#else
                STEP(flushing = true);
                flush();
                STEP(flushing = false);
#endif
                STEP(note = !poison);
#endif
                STEP(noteOnDisk = note)
            fi;
            STEP(if :: appendOwner == me -> appendOwner = FREE :: else fi)
        :: else
        fi;
refuse:
        STEP(
            others = false; damaged = false; believed = false; first = false;
            shared[me] = false;
            if :: exclusive == me -> exclusive = FREE :: else fi;
            gate = FREE)
    od;
    goto over;
dying:
    atomic {
        if :: mine == boot -> deaths++ :: else fi;
        if :: appendOwner == me -> appendOwner = FREE; appendOwnerDead = true :: else fi;
        if :: gate == me -> gate = FREE :: else fi;
#ifdef MISTAKE_TWO_DESCRIPTORS
        /* the kernel closes one after the other */
        gone[me] = true
    };
    atomic {
        gone[me] = false;
#endif
        /* NEEDED: both bytes are locked through one descriptor, so that the kernel releases them in one step */
        shared[me] = false;
        if :: exclusive == me -> exclusive = FREE :: else fi;
        others = false; damaged = false; believed = false; first = false; failed = false; k = 0; mine = 0;
        goto life
    };
over:
    skip
}

/* The power, and write-back of the page of `control` at any time. */
proctype world() {
    byte k = 0;
end_:
    do
    :: d_step { note != noteOnDisk -> noteOnDisk = note }
    :: d_step { boot < CUTS ->
        boot++;
        gate = FREE; exclusive = FREE; appendOwner = FREE; appendOwnerDead = false;
        k = 0;
        do
        :: k < PROCESSES -> shared[k] = false; k++
        :: else -> break
        od;
        k = 0;
        if :: dirty -> end = TORN :: else fi;
        dirty = false; lies = false;
        note = noteOnDisk;
#ifdef MISTAKE_CONTROL_DECIDES
        ready = false;
#endif
        slots = false }
    od
}

init { atomic {
    byte a = 0;
    do :: a < PROCESSES -> run process(a); a++ :: else -> break od;
    run world()
} }
#endif
