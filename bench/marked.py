"""A document with a part between two marks, which a program writes anew."""


def split(path, begin, end):
    """What is before the first mark, between the two, and after the second; ValueError if they are not there."""
    with open(path, encoding="utf-8") as file:
        document = file.read()
    if document.count(begin) != 1 or document.count(end) != 1:
        raise ValueError(f"{path} lacks its two marks")
    head, rest = document.split(begin)
    part, tail = rest.split(end)
    return head, part.strip("\n"), tail


def write(path, head, begin, part, end, tail):
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + begin + "\n" + part + "\n" + end + tail)
