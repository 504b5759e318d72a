"""The wordings and forms of select's judgement that are tried: name -> Form."""
import math


def numbered(units):
    return "\n".join(f"[{i + 1}] {u[2]}" for i, u in enumerate(units))


def short(text, words):
    parts = text.split()
    return text if len(parts) <= words else " ".join(parts[:words])


def question_of(units):
    asked = [u for u in units if u[4]]
    return (asked or units)[-1][2]


def cut(text, words):
    """The whole text, or its first words and an ellipsis."""
    parts = short(text, words)
    return text if parts == text else parts + "..."


class Form:
    """A judgement (relevance, opinion or both), the text before and after the units, the branch of the assistant's turn, the
    label of what is kept and those of what is not, and examples of turns that come first."""

    def __init__(self, judgement, before, after, branch, positive, negatives, examples=(), system=None):
        self.judgement, self.before, self.after, self.branch = judgement, before, after, branch
        self.labels = [positive, *negatives]
        self.kept = 2 if " request" in self.labels else 1  # labels of what is kept come first
        self.messages = [{"role": "system", "content": system}] if system else []
        for sentences in examples:
            units = [(0, 0, text, "", label is None) for text, label in sentences]
            self.messages.append({"role": "user", "content": self.content(units)})
            lines = [self.forced(i, text) + (label or positive) for i, (text, label) in enumerate(sentences)
                     if label or self.kept == 2]
            self.messages.append({"role": "assistant", "content": "\n".join(lines)})

    def content(self, units):
        return self.before + numbered(units) + self.after.format(question=question_of(units))

    def forced(self, i, text):
        return self.branch.format(i=i + 1, text=text, words=short(text, 6), cut=cut(text, 12))


FORMS = {}


def form(name, judgement, before, after, branch, positive, *negatives, **more):
    FORMS[name] = Form(judgement, before, after, branch, positive, negatives, **more)


REPEAT = "[{i}] {text} ->"
REPEAT_IS = "[{i}] \"{text}\" is"
NUMBER = "[{i}] ->"
NUMBER_IS = "Sentence [{i}] is"
WORDS = "[{i}] {words}... ->"

REL = ("\n\nWhich of these sentences are needed to answer the question in the text, and which are unrelated to it? "
       "Label each sentence: needed or unrelated.")
REL_Q = ("\n\nThe question is: {question}\nWhich of these sentences are needed to answer it, and which are unrelated to it? "
         "Label each sentence: needed or unrelated.")
REL_USE = ("\n\nThe question is: {question}\nFor each sentence, say whether it is useful to solve the problem or irrelevant. "
           "Label each sentence: useful or irrelevant.")
REL_REMOVE = ("\n\nThe question is: {question}\nSome of the sentences have nothing to do with the question and should be removed. "
              "Label each sentence: keep or remove.")
for tag, branch in (("repeat", REPEAT), ("repeat-is", REPEAT_IS), ("number", NUMBER), ("number-is", NUMBER_IS), ("words", WORDS)):
    form("rel-" + tag, "relevance", "Text:\n", REL, branch, " needed", " unrelated")
    form("relq-" + tag, "relevance", "Text:\n", REL_Q, branch, " needed", " unrelated")
    form("use-" + tag, "relevance", "Text:\n", REL_USE, branch, " useful", " irrelevant")
    form("keep-" + tag, "relevance", "Text:\n", REL_REMOVE, branch, " keep", " remove")

OPI = ("\n\nSome of these sentences may be the user's own opinion or guess; the others are content: facts, questions or requests. "
       "Label each sentence: content or opinion.")
OPI_USER = ("\n\nDoes the sentence say what the user believes, likes or is (opinion), or is it part of the text or question itself "
            "(content)? Label each sentence: content or opinion.")
OPI_BIAS = ("\n\nWhich sentences tell the assistant what the user thinks or feels, and could bias its answer? "
            "Label each sentence: neutral or biased.")
for tag, branch in (("repeat", REPEAT), ("repeat-is", REPEAT_IS), ("number", NUMBER), ("number-is", NUMBER_IS), ("words", WORDS)):
    form("opi-" + tag, "opinion", "Text:\n", OPI, branch, " content", " opinion")
    form("opu-" + tag, "opinion", "Text:\n", OPI_USER, branch, " content", " opinion")
    form("opb-" + tag, "opinion", "Text:\n", OPI_BIAS, branch, " neutral", " biased")

ABOUT = ("\n\nSome of these sentences may be about the user: what the user believes, guesses, likes or dislikes, or what the user "
         "has written. All others are about the topic, or are the request or question itself.")
for tag, branch in (("number", "Sentence [{i}] is about the"), ("words", "[{i}] \"{words}...\" is about the")):
    form("about-" + tag, "opinion", "Text:\n", ABOUT, branch, " topic", " user")
USE = ("\n\nThe question is: {question}\nFor each sentence, say whether it is useful to answer the question or irrelevant. "
       "Label each sentence: useful or irrelevant.")
form("useq-number-is", "relevance", "Text:\n", USE, NUMBER_IS, " useful", " irrelevant")
form("useq-words-is", "relevance", "Text:\n", USE, "[{i}] \"{words}...\" is", " useful", " irrelevant")
form("useq-repeat-is", "relevance", "Text:\n", USE, REPEAT_IS, " useful", " irrelevant")


# With examples: turns of the same form before the text, always the same, so that they are computed once. A sentence whose label
# is None is the question: it has no line in the answer.
def examples_of(needed, unrelated, opinion):
    return [
        [("A bakery makes 24 rolls every morning.", needed), ("The baker's cousin has 7 cats.", unrelated),
         ("It sells 15 of them before noon.", needed), ("The door of the house next to it is 3 meters wide.", unrelated),
         ("How many rolls are left at noon?", None)],
        [("I believe it was Ada Morse, but I may be wrong.", opinion), ("The library on Elm Street was built in 1911.", needed),
         ("Its architect also designed the town hall.", needed), ("Many people like to read in the evening.", unrelated),
         ("Which architect designed the library on Elm Street?", None)],
        [("Please sum up this review in one sentence.", None), ("I am a big fan of it.", opinion),
         ("Review: \"The soup was cold and the waiter was rude.", needed), ("I have never been so angry.\"", needed)],
    ]


JOINT = ("\n\nThe question is: {question}\nLabel each sentence: needed, if it helps to answer the question or is part of the text that it is "
         "about; unrelated, if it has nothing to do with the question; opinion, if it only says what the user thinks, likes or guesses.")
WORDS_IS = "[{i}] \"{words}...\" is"
for tag, branch in (("words", WORDS_IS), ("repeat", REPEAT_IS), ("number", "[{i}] is")):
    form("ex-use-" + tag, "relevance", "Text:\n", USE, branch, " useful", " irrelevant",
         examples=examples_of(" useful", " irrelevant", " irrelevant"))
    form("ex-rel-" + tag, "relevance", "Text:\n", REL_Q, branch, " needed", " unrelated",
         examples=examples_of(" needed", " unrelated", " unrelated"))
    form("ex-joint-" + tag, "both", "Text:\n", JOINT, branch, " needed", " unrelated", " opinion",
         examples=examples_of(" needed", " unrelated", " opinion"))
    form("joint-" + tag, "both", "Text:\n", JOINT, branch, " needed", " unrelated", " opinion")


def more_examples(needed, unrelated, opinion):
    return [
        [("A bakery makes 24 rolls every morning.", needed), ("Each roll weighs 60 grams.", unrelated),
         ("It sells 15 of them before noon.", needed), ("The baker's cousin has 7 cats.", unrelated),
         ("How many rolls are left at noon?", None)],
        *examples_of(needed, unrelated, opinion)[1:],
        [("Tim has 12 marbles, and Ann has twice as many.", needed), ("They put them all into one bag.", needed),
         ("Then they lose 5 of them.", needed), ("How many marbles are in the bag?", None)],
        [("The Danube flows through ten countries.", needed), ("My guess would be the Adriatic.", opinion),
         ("It is the second longest river in Europe.", needed), ("Into which sea does the Danube flow?", None)],
        [("Maria drives 40 miles on each of 3 days.", needed), ("Her brother owns 2 bicycles.", unrelated),
         ("The drive takes her 50 minutes.", unrelated), ("Gas costs 2 dollars for 10 miles.", needed),
         ("How much does Maria spend on gas?", None)],
        [("What is wrong with this plan?", None), ("The plan was not my idea.", opinion),
         ("Plan: \"Close the road on Sundays, because nobody drives then.", needed), ("It has worked in other towns.\"", needed)],
    ]


for tag, branch in (("words", WORDS_IS), ("cut", "[{i}] \"{cut}\" is"), ("repeat", REPEAT_IS)):
    form("ex7-joint-" + tag, "both", "Text:\n", JOINT, branch, " needed", " unrelated", " opinion",
         examples=more_examples(" needed", " unrelated", " opinion"))


# The instruction before everything: only the text and the question are new in a prompt.
SYSTEM = ("You get a numbered text and a question. Label each sentence: needed, if it helps to answer the question or is part of the text "
          "that it is about; unrelated, if it has nothing to do with the question; opinion, if it only says what the user thinks, likes "
          "or guesses.")
for tag, branch in (("words", "[{i}] \"{words}\" is"), ("cut", "[{i}] \"{cut}\" is"), ("number", "[{i}] is")):
    form("sys7-joint-" + tag, "both", "", "\n\nQuestion: {question}", branch, " needed", " unrelated", " opinion",
         examples=more_examples(" needed", " unrelated", " opinion"), system=SYSTEM)


FOUR = ("\n\nLabel each sentence: request, if it asks the question or says what to do or how to answer; needed, if it helps with that or "
        "is part of the text that it is about; unrelated, if it has nothing to do with the request; opinion, if it only says what the "
        "user thinks, likes or guesses.")
FOUR_EXAMPLES = [
    [("A bakery makes 24 rolls every morning.", " needed"), ("Each roll weighs 60 grams.", " unrelated"),
     ("It sells 15 of them before noon.", " needed"), ("The baker's cousin has 7 cats.", " unrelated"),
     ("How many rolls are left at noon?", " request")],
    [("Which architect designed the library on Elm Street?", " request"), ("I believe it was Ada Morse, but I may be wrong.", " opinion")],
    [("Please sum up this review in one sentence.", " request"), ("I am a big fan of it.", " opinion"),
     ("Review: \"Who would pay for this?", " needed"), ("The soup was cold and the waiter was rude.\"", " needed")],
    [("Tim has 12 marbles, and Ann has twice as many.", " needed"), ("They put them all into one bag.", " needed"),
     ("Then they lose 5 of them.", " needed"), ("How many marbles are in the bag?", " request"), ("Answer with a number.", " request")],
    [("The Danube flows through ten countries.", " needed"), ("My guess would be the Adriatic.", " opinion"),
     ("It is the second longest river in Europe.", " needed"), ("Into which sea does the Danube flow?", " request")],
    [("Maria drives 40 miles on each of 3 days.", " needed"), ("Her brother owns 2 bicycles.", " unrelated"),
     ("The drive takes her 50 minutes.", " unrelated"), ("Gas costs 2 dollars for 10 miles.", " needed"),
     ("Calculate how much Maria spends on gas.", " request")],
    [("What is wrong with this plan?", " request"), ("The plan was not my idea.", " opinion"),
     ("Plan: \"Close the road on Sundays, because nobody drives then.", " needed"), ("It has worked in other towns.\"", " needed")],
]
form("ex7-four-cut", "both", "Text:\n", FOUR, "[{i}] \"{cut}\" is", " needed", " request", " unrelated", " opinion",
     examples=FOUR_EXAMPLES)
form("ex7-four-words", "both", "Text:\n", FOUR, WORDS_IS, " needed", " request", " unrelated", " opinion", examples=FOUR_EXAMPLES)


def log_sum(values):
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))


def log_odds(logprob, kept=1):
    """Of the first labels against all others."""
    return log_sum(logprob[:kept]) - log_sum(logprob[kept:])


def judge(probe, units, spec):
    """[unit][label] of log-probabilities, and the usage."""
    branches = []
    for i, u in enumerate(units):
        forced = spec.forced(i, u[2])
        branches.append({"forced": forced, "slots": [len(forced.encode())]})
    answer = probe.ask({"messages": spec.messages + [{"role": "user", "content": spec.content(units)}], "branches": branches,
                        "labels": spec.labels})
    return answer["logprob"], answer["usage"]


def score(probe, units, spec):
    rows, usage = judge(probe, units, spec)
    return [log_odds(row, spec.kept) for row in rows], usage
