"""The roof: what joins the apps into a site. No app imports it."""
