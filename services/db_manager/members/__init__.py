"""The servers of one Database: who takes its writes, who follows, and how one takes another's place."""
