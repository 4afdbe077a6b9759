"""What the buttons of all screens do: `verbs` knows all of them, each word in an address."""
