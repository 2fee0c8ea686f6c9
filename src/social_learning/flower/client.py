"""The ClientApp: a courier at a site, a simulated teacher in a simulation."""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from social_learning.flower import courier
from social_learning.flower.letters import ASK, MISSING, WHO, content


def ask(message: Message, context: Context) -> Message:
    """Answer a letter with an enquiry."""
    return _answer(message, context, ASK)


def who(message: Message, context: Context) -> Message:
    """Answer a letter that asks for the teacher's name."""
    return _answer(message, context, WHO)


def _answer(message: Message, context: Context, kind: str) -> Message:
    try:
        if set(context.node_config) == {"partition-id", "num-partitions"}:
            # At a site silos are never within reach of this process.
            from social_learning.flower import simulated

            return (simulated.carry if kind == ASK else simulated.say_who)(message, context)
        return (courier.carry if kind == ASK else courier.say_who)(message, context)
    except Exception:  # Flower would send the text of any exception to the server, that of an import included.
        return Message(content(MISSING, "failed"), reply_to=message)


app = ClientApp()
app.query(ASK.partition(".")[2])(ask)
app.query(WHO.partition(".")[2])(who)
