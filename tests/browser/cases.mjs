// Prompts with what a server makes of them, for fake_server.mjs. `units` join to the prompt:
// [text, label, score]; a unit goes if its score is below the border, which is 0 unless `threshold` says otherwise,
// but for what is asked and what `whole` names. `rewritten` is written out by hand: it says what x' is after src/core/select.c, and the page must agree.

export const cases = {
    opinion: {
        units: [["I think it was Bram Stoker, but I am really not sure. ", "opinion", -4.2],
            ["The novel came out in 1818 and begins with letters from the Arctic. ", "needed", 2.7],
            ["Who wrote Frankenstein?", "question", null]],
        rewritten: "The novel came out in 1818 and begins with letters from the Arctic. Who wrote " +
            "Frankenstein?",
        question: "Who wrote Frankenstein?",
        plain: "I agree with you: it was Bram Stoker who wrote it.",
        s2a: "Mary Shelley wrote Frankenstein, first published in 1818.",
    },
    emoji: {
        units: [["I love 🐙🇫🇷 stickers a lot! ", "unrelated", -6.4], ["Zoë has 3 boxes 📦📦📦. ", "needed", 5],
            ["Each box holds 12 naïve 👩‍👩‍👧 cards. ", "needed", 0.4], ["How many 👩‍👩‍👧 cards has Zoë?", "question", -0.7]],
        rewritten: "Zoë has 3 boxes 📦📦📦. Each box holds 12 naïve 👩‍👩‍👧 cards. How many 👩‍👩‍👧 cards has Zoë?",
        question: "How many 👩‍👩‍👧 cards has Zoë?",
        plain: "Zoë likes 🐙, so 36? 🤔",
        s2a: "36 cards 👩‍👩‍👧: 3 × 12.",
    },
    nothingAsked: {
        units: [["It rains. ", "needed", -3], ["I like rain.", "needed", 2]],
        whole: [0],
        rewritten: "It rains. I like rain.",
        question: null,
        plain: "So do I.",
        s2a: "So do I.",
    },
    chinese: {
        units: [["我认为是爱伦坡。", "opinion", -4], ["这首诗写于1855年。", "needed", 3], ["是谁写的？", "question", null]],
        rewritten: "这首诗写于1855年。是谁写的？",
        question: "是谁写的？",
        plain: "爱伦坡。",
        s2a: "沃尔特·惠特曼。",
    },
    questionFirst: {
        units: [["Who wrote it? ", "question", 3], ["It rained. ", "unrelated", -2.5],
            ["The poem is from 1855.", "needed", -1.2]],
        threshold: -2,
        rewritten: "Who wrote it? The poem is from 1855.",
        question: "Who wrote it?",
        plain: "Poe.",
        s2a: "Whitman.",
    },
    clean: {
        units: [["Who wrote it? ", "question", null], ["The poem is from 1855.", "needed", 2]],
        rewritten: "Who wrote it? The poem is from 1855.",
        question: null,
        plain: "Whitman.",
        s2a: "Whitman.",
    },
    code: {
        units: [["See what my cat typed:\n\n", "unrelated", -2.5], ["```c\nint x = 1;\n```\n\n", "needed", null],
            ["- one\n", "unrelated", -3], ["- two\n", "needed", 1], ["I hate lists. ", "opinion", -4],
            ["What is x?", "question", 5]],
        whole: [1],
        rewritten: "```c\nint x = 1;\n```\n\n- two\nWhat is x?",
        question: "What is x?",
        plain: "x is a cat.",
        s2a: "x is 1:\n\n    int x = 1;",
    },
    hostile: {
        units: [["<img src=x onerror=\"window.broken = 1\"> I like 'it' & \"so\" \\ ??= $(id) `id`. ", "opinion", -3],
            ["</span></textarea><script>window.broken = 2</script> is text. ", "needed", 2],
            ["Is <b>this</b> {{safe}}?", "question", null]],
        rewritten: "</span></textarea><script>window.broken = 2</script> is text. Is <b>this</b> {{safe}}?",
        question: "Is <b>this</b> {{safe}}?",
        plain: "<img src=x onerror=\"window.broken = 3\"><style>body{display:none}</style>",
        s2a: "<script>window.broken = 4</script> &amp; <a href=javascript:1>no</a>",
    },
    rtl: {
        units: [["أظن أنها القاهرة. ", "opinion", -3.3], ["النهر يمر عبر الخرطوم 🐊. ", "needed", 2.2],
            ["ما هذا النهر؟", "question", null]],
        rewritten: "النهر يمر عبر الخرطوم 🐊. ما هذا النهر؟",
        question: "ما هذا النهر؟",
        plain: "القاهرة.",
        s2a: "هذا هو النيل.",
    },
    longWords: {
        units: [["I like " + "Donaudampfschiff".repeat(12) + ". ", "opinion", -2],
            ["See https://example.org/" + "a".repeat(300) + " now. ", "needed", 1],
            ["What is " + "x".repeat(120) + "?", "question", null]],
        rewritten: "See https://example.org/" + "a".repeat(300) + " now. What is " + "x".repeat(120) + "?",
        question: "What is " + "x".repeat(120) + "?",
        plain: "w".repeat(400),
        s2a: "m".repeat(400),
    },
    long: {
        units: [["I think that it is long. ", "opinion", -2], ["Why is it long?", "question", null]],
        rewritten: "Why is it long?",
        question: "Why is it long?",
        plain: "It is long because every line of it is one more line. ".repeat(40),
        s2a: "It is long, and it is made of many lines.\n".repeat(60),
    },
};

export const promptOf = (c) => c.units.map((u) => u[0]).join("");

const bytes = (text) => Buffer.byteLength(text);

// The s2a object of a case, as mode select gives it.
export function selected(c, preset = "auto") {
    let at = 0;
    const units = c.units.map(([text, label, score], i) => {
        const start = at;
        at += bytes(text);
        const kept = score === null || label === "question" || score >= (c.threshold || 0) || (c.whole || []).includes(i);
        return { start, end: at, kept, label, score };
    });
    const removed = units.filter((u) => !u.kept).map((u) => {
        const text = c.units[units.indexOf(u)][0].trimEnd();
        return { start: u.start, end: u.start + bytes(text), text };
    });
    return { mode: "select", preset, input: promptOf(c), rewritten: c.rewritten, fallback: null, threshold: c.threshold || 0, units, removed, ms: { step1: 412, step2: 820 },
             usage: { step1: { prompt_tokens: 210, cached_tokens: 150, completion_tokens: 0 },
                      step2: { prompt_tokens: 40, cached_tokens: 0, completion_tokens: 12 } } };
}

// The same as mode rewrite gives it: no scores, and removed text that is not whole units.
export function rewritten(c, preset = "auto") {
    const full = selected(c, preset);
    return { ...full, mode: "rewrite", units: full.units.map((u) => ({ ...u, score: null,
        label: u.label === "question" ? "question" : u.kept ? "kept" : "removed" })) };
}
