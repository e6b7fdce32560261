import unittest

from flowgate.testing import Refused, run

from flow import greet


class GreeterTest(unittest.TestCase):
    def test_a_visitor_is_remembered_within_the_session(self):
        self.assertEqual(run(greet, session_id="s1", data={"name": "Ada"}).text, "Hello, Ada!")
        self.assertEqual(run(greet, session_id="s1", data={"language": "german"}).text, "Willkommen zurück, Ada!")
        self.assertEqual(run(greet, session_id="s2").text, "Hello, stranger!")

    def test_an_unknown_language_is_refused(self):
        with self.assertRaisesRegex(Refused, "one of `english`, `german`, `spanish`, received \"latin\""):
            run(greet, data={"language": "latin"})
