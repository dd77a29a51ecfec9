"""Our own views at allauth's addresses; they stand before allauth's in the list of addresses."""

from django.urls import path

from accounts.signin import oidc
from accounts.signin.email_address import ChangeAddress

urlpatterns = [
    path("email/", ChangeAddress.as_view(), name="account_email"),
    path("oidc/<str:provider_id>/login/", oidc.login, name="openid_connect_login"),
    path(
        "oidc/<str:provider_id>/login/callback/",
        oidc.callback,
        name="openid_connect_callback",
    ),
]
