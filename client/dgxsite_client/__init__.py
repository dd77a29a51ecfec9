"""The command `dgxsite`: jobs on a team's GPU machines, over the site's REST API."""
